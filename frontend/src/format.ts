/** Formats of numbers, by the same rules as `text.py`. */
import type { Quantity } from "./data/types";

export const NOT_DEFINED = "N/A";
const MINUS = "−";
type Maybe = number | null | undefined;

const undefinedNumber = (value: Maybe): value is null | undefined => value == null || Number.isNaN(value);
const withMinus = (text: string) => text.replace("-", MINUS);
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function integer(value: Maybe): string {
  return undefinedNumber(value) ? NOT_DEFINED : withMinus(grouped.format(value));
}

export function decimal(value: Maybe, digits = 2): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  return Number.isFinite(value) ? withMinus(fixed(value, digits)) : infinite(value);
}

/** An effective sample size with one decimal; zero is `0`. */
export function tenths(value: Maybe): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  return value === 0 ? "0" : withMinus(thousands(fixed(value, 1)));
}

/** A difference with its sign; no sign if it rounds to zero. */
export function signed(value: Maybe, digits = 2): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  const text = decimal(value, digits);
  if (Number(text.replace(MINUS, "-")) === 0) return fixed(0, digits);
  return value > 0 ? `+${text}` : text;
}

/** A gap or difference of scores, in points of 100. */
export const points = (value: Maybe, digits = 1): string => (value == null ? NOT_DEFINED : signed(100 * value, digits));

/** Gaps of at least this size are written in whole points. */
const WHOLE = 0.0195;

/** A gap in whole points, or with one decimal if it is below two points. */
export const gapPoints = (gap: Maybe): string => points(gap, Math.abs(gap ?? 0) >= WHOLE ? 0 : 1);

/** The interval of a gap: `−26 to −11`. */
export function spread(low: Maybe, high: Maybe): string {
  const digits = Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0)) >= WHOLE ? 0 : 1;
  return `${points(low, digits)} to ${points(high, digits)}`;
}

/** Three significant digits, for quantities that span orders of magnitude. */
export function magnitude(value: Maybe): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  if (!Number.isFinite(value)) return infinite(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return withMinus(value.toExponential(1)).replace("e-", "e−");
  if (size >= 100) return withMinus(thousands(fixed(value, 0)));
  return withMinus(fixed(value, size >= 1 ? 2 : 3));
}

/** A share in [0, 1], with more digits where rounding would claim none or all. */
export function percent(value: Maybe, digits = 0): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  const share = 100 * value;
  if (share > 0 && share < 0.001) return "<0.001%";
  if (share > 0 && share < 0.1) return `${Number(share.toPrecision(1))}%`;
  const near = (share > 0 && share < 1) || (share > 99 && share < 100);
  const text = fixed(share, near ? Math.max(1, digits) : digits);
  return share < 100 && Number(text) >= 100 ? ">99.9%" : `${withMinus(text)}%`;
}

/** The mean score of items in [0, 1], as the findings write it: 47%. */
export const meanScore = (value: Maybe): string => percent(value);

export function probability(value: Maybe): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  return value < 1e-9 ? "<1e−9" : magnitude(value);
}

/** A count with its noun: `1 item`, `2 items`. Pass an irregular plural. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${integer(count)} ${count === 1 ? noun : nouns}`;
}

const WRITERS: Record<Quantity["kind"], (value: never) => string> = {
  text: (value: string | null) => value ?? NOT_DEFINED,
  word: (value: string | null) => value ?? NOT_DEFINED,
  flag: (value: boolean | null) => (value ? "yes" : ""),
  integer,
  tenths,
  decimal: (value: Maybe) => decimal(value),
  signed: (value: Maybe) => signed(value),
  points: (value: Maybe) => points(value),
  magnitude,
  probability,
  percent: (value: Maybe) => percent(value),
};

/** Write a value of a column. */
export function written(kind: Quantity["kind"], value: number | string | boolean | null): string {
  return WRITERS[kind](value as never);
}

/** Round halves to even, as Python does; `toFixed` rounds them up. */
function fixed(value: number, digits: number): string {
  const size = Math.abs(value);
  const text = value.toFixed(digits);
  // Enough digits to tell an exact half of a double.
  const exact = size.toFixed(Math.min(100, digits + 60));
  const beyond = exact.slice(exact.indexOf(".") + 1 + digits);
  if (!/^50*$/.test(beyond) || Number(text.at(-1)) % 2 === 0) return text;
  const down = (Math.floor(size * 10 ** digits) / 10 ** digits).toFixed(digits);
  return value < 0 ? `-${down}` : down;
}

const thousands = (text: string) => text.replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));

function infinite(value: number): string {
  return value > 0 ? "∞" : `${MINUS}∞`;
}

/** Write a text, or N/A if there is none. */
export function shownOr(value: string | null, write: (text: string) => string): string {
  return value === null ? NOT_DEFINED : write(value);
}
