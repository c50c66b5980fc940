import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { outcomeOf, slicesOf } from "./slices";

const listed = (number: number) => ({
  number,
  family: "columns",
  family_words: "",
  name: `slice ${number}`,
  column: null,
  parent: -1,
  words: [],
  typical: [],
});
const column = (values: number[]) => ({ kind: "number" as const, values: Float64Array.from(values) });

/** Items 0 to 59: slice 3 holds the first 30 (weight 1, the last ten of them 0.25), slice 9 all even ones. */
function drawSlices() {
  const rows: [number, number, number][] = [];
  for (let item = 0; item < 30; item++) rows.push([0, item, item < 20 ? 1 : 0.25]);
  for (let item = 0; item < 60; item += 2) rows.push([1, item, 1]);
  const table: Table = {
    rows: rows.length,
    columns: Object.fromEntries(
      ["slice", "item", "weight"].map((name, i) => [name, column(rows.map((row) => row[i]!))]),
    ),
  };
  return slicesOf([listed(3), listed(9)], table);
}

describe("slices", () => {
  it("hold the items that weigh half as much as the heaviest", () => {
    const slice = drawSlices().get(3)!;
    expect(slice.members).toEqual([...Array(20).keys()]);
    expect(slice.rows).toHaveLength(30);
  });

  it("less what others do on the same item", () => {
    const scores: Table = {
      rows: 60,
      columns: {
        "0": column(Array.from({ length: 60 }, (_, i) => Number(i % 2))),
        "1": column(new Array(60).fill(0.5)),
      },
    };
    expect(outcomeOf(scores, 0, [1])[1]).toBe(0.5);
    expect(outcomeOf(scores, 0, [0, 1])[1]).toBe(0.25);
  });
});
