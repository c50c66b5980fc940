/** How numbers are written, everywhere: the same way as in the report. */
import type { ColumnSpec } from "./data/types";

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
  return Number.isFinite(value) ? withMinus(value.toFixed(digits)) : infinite(value);
}

export const tenths = (value: Maybe) => decimal(value, 1);

export function signed(value: Maybe, digits = 2): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  const text = decimal(value, digits);
  return value > 0 && !text.startsWith("+") ? `+${text}` : text;
}

/** Three significant digits, for quantities that span orders of magnitude. */
export function magnitude(value: Maybe): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  if (!Number.isFinite(value)) return infinite(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return withMinus(value.toExponential(1).replace("e-", "e−"));
  if (size >= 1000) return integer(value);
  return withMinus(Number(value.toPrecision(3)).toString());
}

export function percent(value: Maybe, digits = 0): string {
  return undefinedNumber(value) ? NOT_DEFINED : `${withMinus((100 * value).toFixed(digits))}%`;
}

export function probability(value: Maybe): string {
  if (undefinedNumber(value)) return NOT_DEFINED;
  return value < 1e-9 ? "<1e−9" : magnitude(value);
}

export function plural(count: number, noun: string): string {
  return `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const WRITERS: Record<ColumnSpec["kind"], (value: never) => string> = {
  text: (value: string | null) => value ?? NOT_DEFINED,
  word: (value: string | null) => value ?? NOT_DEFINED,
  integer,
  tenths,
  decimal: (value: Maybe) => decimal(value),
  signed: (value: Maybe) => signed(value),
  magnitude,
  probability,
  percent: (value: Maybe) => percent(value, 1),
};

/** Write a value of a column. */
export function written(kind: ColumnSpec["kind"], value: number | string | null): string {
  return WRITERS[kind](value as never);
}

function infinite(value: number): string {
  return value > 0 ? "∞" : `${MINUS}∞`;
}

/** Write a text in its own way, or say that there is none. */
export function shownOr(value: string | null, write: (text: string) => string): string {
  return value === null ? NOT_DEFINED : write(value);
}
