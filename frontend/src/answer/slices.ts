/** Slices: a weight from 0 to 1 per item; and outcomes, a number per item. */
import { numbers, type Table } from "../data/table";
import type { ListedSlice } from "../data/types";

export interface Slice extends ListedSlice {
  /** Items with a weight, and these weights. */
  rows: Int32Array;
  weights: Float32Array;
  /** Items that belong to it (at least half of its largest weight), the heaviest first. */
  members: number[];
}

/** All slices of a run, by their numbers. */
export function slicesOf(slices: ListedSlice[], table: Table): Map<number, Slice> {
  const [index, item, weight] = ["slice", "item", "weight"].map((name) => numbers(table, name));
  const known = new Map<number, Slice>();
  let from = 0;
  slices.forEach((slice, number) => {
    let to = from;
    while (to < table.rows && index![to] === number) to++;
    const rows = Int32Array.from(item!.slice(from, to));
    const weights = Float32Array.from(weight!.slice(from, to));
    const half = weights.reduce((most, weight) => Math.max(most, weight), 0) / 2;
    const order = [...rows.keys()].filter((i) => weights[i]! >= half).sort((a, b) => weights[b]! - weights[a]!);
    known.set(slice.number, { ...slice, rows, weights, members: order.map((i) => rows[i]!) });
    from = to;
  });
  return known;
}

/** One number per item; NaN: none. */
export type Outcome = ArrayLike<number>;

/** Scores of a model, or these less the mean of others' on the same item. */
export function outcomeOf(scores: Table, model: number, others: number[]): Outcome {
  const values = numbers(scores, String(model));
  const beside = others.map((other) => numbers(scores, String(other)));
  if (beside.length === 0) return values;
  return Float64Array.from(values, (score, row) => {
    const known = beside.map((other) => other[row]!).filter((value) => !Number.isNaN(value));
    return score - known.reduce((sum, value) => sum + value, 0) / known.length;
  });
}
