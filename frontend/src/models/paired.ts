/** Two models, or runs, whose scores are compared item by item. */
import type { Difference, PairedScores } from "../data/types";
import { decimal, integer, NOT_DEFINED, plural, probability, signed } from "../format";

/** Number of a pair of models in the list of a run, whichever of them comes first. */
export function pairNumber(first: number, second: number): number {
  const later = Math.max(first, second);
  return (later * (later - 1)) / 2 + Math.min(first, second);
}

const OPPOSITE = { better: "worse", worse: "better", same: "same" } as const;
/** No minus before a zero. */
const negated = <T extends number | null>(value: T): T => (value ? -value : value) as T;

/** The same comparison with candidate and baseline exchanged. */
export function turned(pair: PairedScores): PairedScores {
  const difference = <T extends Difference>(row: T): T => ({
    ...row,
    difference: negated(row.difference),
    low: negated(row.high),
    high: negated(row.low),
    better: row.worse,
    worse: row.better,
    status: OPPOSITE[row.status],
  });
  const gap = <T extends Difference & { gap: number | null; gap_low: number | null; gap_high: number | null }>(
    row: T,
  ): T => ({
    ...difference(row),
    gap: negated(row.gap),
    gap_low: negated(row.gap_high),
    gap_high: negated(row.gap_low),
  });
  return {
    ...pair,
    candidate: pair.baseline,
    baseline: pair.candidate,
    only_candidate: pair.only_baseline,
    only_baseline: pair.only_candidate,
    overall: difference(pair.overall),
    benchmarks: pair.benchmarks.map(difference),
    themes: pair.themes.map(gap),
    concepts: pair.concepts.map(gap),
  };
}

/** A difference of scores in points of a hundred. */
export const points = (value: number | null | undefined): string =>
  value == null ? NOT_DEFINED : signed(100 * value, 1);

/** What the comparison shows over all items, and what it could have shown. */
export function overallSentence({ overall, paired }: PairedScores, candidate: string, baseline: string): string {
  const { difference, low, high, better, worse, clusters, detectable, p_value, status } = overall;
  const shown =
    status === "same"
      ? `No difference between ${candidate} and ${baseline} is shown`
      : `${candidate} does ${status} than ${baseline}`;
  return (
    `${shown}: ${points(difference)} points of 100 (95% interval ${points(low)} to ${points(high)}, p ` +
    `${probability(p_value)}) over the ${plural(paired, "item")} that both are scored on. It is better on ` +
    `${integer(better)} and worse on ${integer(worse)} of ${plural(clusters, "cluster")} (items that ask the same ` +
    `count once). A difference of ${decimal(100 * detectable, 1)} points would most likely (8 times of 10) have been ` +
    "seen."
  );
}

/** Items that only one of the two is scored on; null: there are none. */
export function unpairedSentence({ only_candidate, only_baseline }: PairedScores, names: [string, string]) {
  const parts = [
    only_candidate > 0 && `${plural(only_candidate, "item")} scored for ${names[0]} alone`,
    only_baseline > 0 && `${plural(only_baseline, "item")} scored for ${names[1]} alone`,
  ].filter(Boolean);
  return parts.length ? `Not compared: ${parts.join(", ")}.` : null;
}

interface OfTheme {
  gap: number | null;
  gap_q: number | null;
  q_value: number;
  difference: number;
}

/** Those that differ most surely from the other items first, then those that differ most surely at all. */
export function surestFirst<T extends OfTheme>(rows: readonly T[]): T[] {
  const last = (q: number | null) => q ?? Number.POSITIVE_INFINITY;
  return [...rows].sort(
    (a, b) =>
      (last(a.gap_q) === last(b.gap_q) ? 0 : last(a.gap_q) - last(b.gap_q)) ||
      a.q_value - b.q_value ||
      Math.abs(b.difference) - Math.abs(a.difference),
  );
}
