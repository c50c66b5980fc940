import type { ConceptDetail } from "../data/types";

export interface ActivationBin {
  low: number;
  middle: number;
  high: number;
  count: number;
  /** Mean score on the scale of the counts, whose largest is 1; NaN where no item is scored: a line has a gap there. */
  line: number;
}

/** Bins of equal width, with the mean score of the items in each. */
export function activationBins({ max, counts, score }: ConceptDetail["histogram"]): ActivationBin[] {
  const width = max / Math.max(1, counts.length);
  const most = Math.max(1, ...counts);
  return counts.map((count, i) => ({
    low: i * width,
    middle: (i + 0.5) * width,
    high: (i + 1) * width,
    count,
    line: score[i] == null || count === 0 ? NaN : score[i] * most,
  }));
}
