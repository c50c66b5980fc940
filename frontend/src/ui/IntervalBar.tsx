/** A value with its interval, drawn as a bar. */

/** Ends of a bar's scale, shared by a column, and the position of its neutral line. */
export interface Scale {
  from: number;
  to: number;
  neutral: number | null;
}

export interface BarParts {
  /** Shares of the bar's length, in [0, 1]; null: nothing to draw there. */
  point: number | null;
  range: [number, number] | null;
  /** Whether the value or its interval extends past that end of the scale. */
  before: boolean;
  beyond: boolean;
}

/** Lay out a bar. A value off the scale has no point, since a point at the end would show a wrong number. */
export function barParts(scale: Scale, at: number | null, low: number | null, high: number | null): BarParts {
  const share = (value: number) => (value - scale.from) / (scale.to - scale.from);
  const clamped = (value: number) => Math.min(1, Math.max(0, share(value)));
  const ends = [at, low, high].filter((value) => value !== null);
  // A value equal to the end but for rounding is not cut off.
  const slack = 1e-6 * (scale.to - scale.from);
  const outside = (value: number) => value < scale.from - slack || value > scale.to + slack;
  return {
    point: at === null || outside(at) ? null : clamped(at),
    range: low === null || high === null ? null : [clamped(low), clamped(high)],
    before: ends.some((end) => end < scale.from - slack),
    beyond: ends.some((end) => end > scale.to + slack),
  };
}

/** Round up to two significant digits, so that the end of a scale can be written exactly. */
export function roundedUp(value: number): number {
  const power = 10 ** (Math.floor(Math.log10(value)) - 1);
  // The tolerance keeps a value that is already round.
  return Number((Math.ceil(value / power - 1e-9) * power).toPrecision(2));
}

/** Decimals needed to write a rounded scale end exactly. */
export const endDigits = (end: number) => Math.min(9, Math.max(1, 1 - Math.floor(Math.log10(end))));

const TONES: Record<string, string> = { weak: "weak", failure: "weak", strong: "strong", success: "strong" };

interface Bar {
  scale: Scale;
  at: number | null;
  low: number | null;
  high: number | null;
  status: string | null;
}

/**
 * A value and its interval on a scale, with arrows where it extends beyond. Screen readers skip it: the numbers stand
 * beside it.
 */
export function IntervalBar({ scale, at, low, high, status }: Bar) {
  const { point, range, before, beyond } = barParts(scale, at, low, high);
  const percentOf = (share: number) => `${100 * share}%`;
  const tone = TONES[status ?? ""] ?? "plain";
  return (
    <span className={`interval-bar ${tone}`} aria-hidden="true">
      {scale.neutral !== null && (
        <span className="neutral" style={{ left: percentOf(barParts(scale, scale.neutral, null, null).point ?? 0) }} />
      )}
      {range !== null && (
        <span className="range" style={{ left: percentOf(range[0]), right: `calc(100% - ${percentOf(range[1])})` }} />
      )}
      {point !== null && <span className="point" style={{ left: percentOf(point) }} />}
      {before && <span className="cut before" />}
      {beyond && <span className="cut beyond" />}
    </span>
  );
}
