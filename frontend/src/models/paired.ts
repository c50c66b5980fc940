/** Two runs whose scores are compared item by item. */
import type { PairedScores } from "../data/types";
import { decimal, integer, NOT_DEFINED, plural, probability, signed } from "../format";

/** A difference of scores in points of a hundred. */
export const points = (value: number | null | undefined, digits = 1): string =>
  value == null ? NOT_DEFINED : signed(100 * value, digits);

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
