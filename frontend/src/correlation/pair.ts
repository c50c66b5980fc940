/** Two benchmarks, concept by concept. */
import { numbers, type Table } from "../data/table";

export type Measure = "chi_model" | "chi_bench";

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
 * Concepts for which both benchmarks have a value. Coverage counts where it is above 0, because its logarithm is drawn,
 * and needs no floor.
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

/** Ranks from 1, ties sharing the mean of their places. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const results = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) results[order[i]!] = (start + 1 + end) / 2;
    start = end;
  }
  return results;
}

/** Spearman's correlation, in [-1, 1]; NaN: fewer than 3 values, or one side is constant. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length < 3) return NaN;
  const x = ranks(a);
  const y = ranks(b);
  const mean = (a.length + 1) / 2;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    const dx = x[i]! - mean;
    const dy = y[i]! - mean;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : NaN;
}
