import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { extremes, levelOf, outcomeOf, slicesOf } from "./slices";

const listed = (number: number) => ({
  number,
  family: "columns",
  family_words: "",
  name: `slice ${number}`,
  question: null,
  parent: -1,
  words: [],
  typical: [],
});
const column = (values: number[]) => ({ kind: "number" as const, values: Float64Array.from(values) });

/** Items 0 to 59: slice 3 holds the first 30 (weight 1, the last ten of them 0.25), slice 9 all even ones. */
function made() {
  const rows: [number, number, number][] = [];
  for (let item = 0; item < 30; item++) rows.push([0, item, item < 20 ? 1 : 0.25]);
  for (let item = 0; item < 60; item += 2) rows.push([1, item, 1]);
  const table: Table = {
    rows: rows.length,
    columns: Object.fromEntries(
      ["slice", "item", "weight"].map((name, i) => [name, column(rows.map((row) => row[i]!))]),
    ),
  };
  return slicesOf({ slices: [listed(3), listed(9)] }, table);
}

describe("slices", () => {
  it("weigh outcomes as the sums say, and pass over what is unscored", () => {
    const slice = made().get(3)!;
    const outcome = Float64Array.from({ length: 60 }, (_, i) => (i === 5 ? Number.NaN : i < 20 ? 0 : 1));
    const level = levelOf(slice, outcome)!;
    const size = 19 + 10 * 0.25;
    expect(level.inside).toBeCloseTo(2.5 / size);
    expect(level.outside).toBeCloseTo((40 - 2.5) / (59 - size));
    expect(level.items).toBe(19);
    expect(slice.members).toHaveLength(20);
    expect(levelOf(slice, new Float64Array(60).fill(Number.NaN))).toBeNull();
  });

  it("show first the failed items that others pass", () => {
    const slice = made().get(3)!;
    const scores: Table = {
      rows: 60,
      columns: {
        "0": column(Array.from({ length: 60 }, (_, i) => Number(i % 2))),
        "1": column(new Array(60).fill(0.5)),
      },
    };
    const own = outcomeOf(scores, 0, []);
    const others = Float64Array.from({ length: 60 }, (_, i) => (i === 8 ? 1 : 0.2));
    const clusters = Float64Array.from({ length: 60 }, (_, i) => (i === 2 ? 0 : i === 9 ? Number.NaN : i));
    expect(extremes(slice, own, others, clusters, -1, 3)).toEqual([8, 0, 4]);
    expect(extremes(slice, own, null, clusters, 1, 2)).toEqual([1, 3]);
    expect(outcomeOf(scores, 0, [1])[1]).toBe(0.5);
    expect(outcomeOf(scores, 0, [0, 1])[1]).toBe(0.25);
  });
});
