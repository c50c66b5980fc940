/** Slices: a weight from 0 to 1 per item. What an outcome is on them is computed here, without a test. */
import { numbers, type Table } from "../data/table";
import type { ListedSlice, SlicesFile } from "../data/types";

export interface Slice extends ListedSlice {
  /** Items with a weight, and these weights. */
  rows: Int32Array;
  weights: Float32Array;
  /** Items that belong to it (at least half of its largest weight), the heaviest first. */
  members: number[];
}

/** All slices of a run, by their numbers. */
export function slicesOf({ slices }: SlicesFile, table: Table): Map<number, Slice> {
  const [place, item, weight] = ["slice", "item", "weight"].map((name) => numbers(table, name));
  const known = new Map<number, Slice>();
  let from = 0;
  slices.forEach((slice, number) => {
    let to = from;
    while (to < table.rows && place![to] === number) to++;
    const rows = Int32Array.from(item!.slice(from, to));
    const weights = Float32Array.from(weight!.slice(from, to));
    const half = weights.reduce((most, own) => Math.max(most, own), 0) / 2;
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
  const own = numbers(scores, String(model));
  const beside = others.map((other) => numbers(scores, String(other)));
  if (beside.length === 0) return own;
  return Float64Array.from(own, (score, row) => {
    const known = beside.map((other) => other[row]!).filter((value) => !Number.isNaN(value));
    return score - known.reduce((sum, value) => sum + value, 0) / known.length;
  });
}

export interface Level {
  /** Weighted mean of the outcome inside, and of what is left outside. */
  inside: number;
  outside: number;
  /** Items that belong to it and have an outcome. */
  items: number;
}

/** What an outcome is on a slice and outside of it; null: nothing of one of both is known. */
export function levelOf(slice: Slice, outcome: Outcome): Level | null {
  let [all, sum, inner, size] = [0, 0, 0, 0];
  for (let row = 0; row < outcome.length; row++) {
    const value = outcome[row]!;
    if (Number.isNaN(value)) continue;
    all++;
    sum += value;
  }
  slice.rows.forEach((row, i) => {
    const value = outcome[row]!;
    if (Number.isNaN(value)) return;
    size += slice.weights[i]!;
    inner += slice.weights[i]! * value;
  });
  if (size === 0 || all - size < 0.5) return null;
  const items = slice.members.filter((row) => !Number.isNaN(outcome[row]!)).length;
  return { inside: inner / size, outside: (sum - inner) / (all - size), items };
}

/**
 * Its items of the lowest (or highest) outcomes, one of each cluster: first those on which others did otherwise, then
 * the heaviest.
 */
export function extremes(
  slice: Slice,
  outcome: Outcome,
  others: Outcome | null,
  clusters: Outcome,
  sign: 1 | -1,
  most: number,
): number[] {
  const seen = new Set<number>();
  const beside = (row: number) => {
    const mean = others?.[row] ?? Number.NaN;
    return Number.isNaN(mean) ? 0 : sign * mean;
  };
  return slice.members
    .map((row, place) => ({ row, place }))
    .filter(({ row }) => !Number.isNaN(outcome[row]!) && sign * outcome[row]! > sign * middle(outcome))
    .sort((a, b) => sign * (outcome[b.row]! - outcome[a.row]!) || beside(a.row) - beside(b.row) || a.place - b.place)
    .map(({ row }) => row)
    .filter((row) => {
      const first = !seen.has(clusters[row]!);
      if (!Number.isNaN(clusters[row]!)) seen.add(clusters[row]!);
      return first;
    })
    .slice(0, most);
}

const middles = new WeakMap<object, number>();

/** Half of the way between the lowest and the highest outcome: what failed lies below. */
function middle(outcome: Outcome): number {
  const known = middles.get(outcome);
  if (known !== undefined) return known;
  let [low, high] = [0, 0];
  for (let row = 0; row < outcome.length; row++) {
    if (outcome[row]! < low) low = outcome[row]!;
    if (outcome[row]! > high) high = outcome[row]!;
  }
  const half = (low + high) / 2;
  middles.set(outcome, half);
  return half;
}
