/** Two benchmarks, concept by concept. */
import { numbers, type Table } from "../data/table";
import { spearman } from "./spearman";

export const MEASURES = ["chi_model", "gap", "chi_bench"] as const;
export type Measure = (typeof MEASURES)[number];

/** How far benchmarks overlap: the matrices of `RunInfo.overlap` that are shown. */
export const MATRICES = ["jaccard", "cosine", "spearman"] as const;
export type Matrix = (typeof MATRICES)[number];

export interface Pair {
  /** Ranked concepts for which the measure is defined in x, in y, in both. */
  inX: number;
  inY: number;
  inBoth: number;
  /** Those of both that have evidence enough to be shown, ascending. */
  rows: Uint32Array;
  /** Of the shown concepts; NaN: fewer than 3, or one side is constant. */
  spearman: number;
}

/**
 * Concepts on which both benchmarks have a say. Coverage has one where it is above 0, for it is drawn by its logarithm, and needs no floor.
 */
export function joined(concepts: Table, x: Table, y: Table, measure: Measure, floor: number): Pair {
  const ranked = numbers(concepts, "ranked");
  const [a, b] = [numbers(x, measure), numbers(y, measure)];
  const [effA, effB] = [numbers(x, "n_eff"), numbers(y, "n_eff")];
  const coverage = measure === "chi_bench";
  const has = (value: number) => (coverage ? value > 0 : !Number.isNaN(value));
  const pair = { inX: 0, inY: 0, inBoth: 0 };
  const rows: number[] = [];
  for (let row = 0; row < concepts.rows; row++) {
    if (ranked[row] !== 1) continue;
    const [hasA, hasB] = [has(a[row]!), has(b[row]!)];
    if (hasA) pair.inX++;
    if (hasB) pair.inY++;
    if (!hasA || !hasB) continue;
    pair.inBoth++;
    if (coverage || (effA[row]! >= floor && effB[row]! >= floor)) rows.push(row);
  }
  const shown = Uint32Array.from(rows);
  return {
    ...pair,
    rows: shown,
    spearman: spearman(
      rows.map((row) => a[row]!),
      rows.map((row) => b[row]!),
    ),
  };
}

/** Places of the two different benchmarks that share most concepts; of one with itself where there is no other. */
export function bestPair(shared: number[][], x: number | null): [number, number] {
  let best: [number, number] = [x ?? 0, x ?? 0];
  let most = -1;
  shared.forEach((line, i) => {
    line.forEach((count, j) => {
      if (i === j || (x !== null ? i !== x : i > j) || count <= most) return;
      most = count;
      best = [i, j];
    });
  });
  return best;
}
