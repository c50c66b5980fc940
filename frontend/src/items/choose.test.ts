import { expect, test } from "vitest";
import type { Table } from "../data/table";
import { chosenItems, groups, itemSort, orderedItems } from "./choose";

const table: Table = {
  rows: 6,
  columns: {
    benchmark: { kind: "number", values: Float64Array.from([0, 0, 0, 1, 1, 1]) },
    item_id: { kind: "text", values: ["a", "b", "c", "d", "e", "f"] },
    group: { kind: "text", values: ["y", "x", null, "z", "z", "x"] },
    score: { kind: "number", values: Float64Array.from([0.5, NaN, 0, 1, NaN, 0.2]) },
    cluster: { kind: "number", values: Float64Array.from([7, 8, NaN, 9, 10, NaN]) },
    repeats: { kind: "number", values: Float64Array.from([1, 1, 1, 1, 1, 1]) },
    n_span_tokens: { kind: "number", values: Float64Array.from([3, 9, 5, 20, NaN, 1]) },
    excluded: { kind: "text", values: [null, null, null, null, "too long", null] },
  },
};
const chosen = (
  query: string,
  benchmark: number | null = null,
  result: number[] | null = null,
  slice: number[] | null = null,
) => [
  ...chosenItems(table, {
    params: new URLSearchParams(query),
    benchmark,
    hits: result && Uint32Array.from(result),
    slice,
  }),
];

test("outcomes part the items: each is in exactly one", () => {
  const parts = ["wrong", "right", "unscored", "excluded"].map((text) => chosen(`outcome=${text}`));
  expect(parts).toEqual([[2, 5], [0, 3], [1], [4]]);
  expect(parts.flat().sort()).toEqual([0, 1, 2, 3, 4, 5]);
});

test("filters are joined", () => {
  expect(chosen("", 1)).toEqual([3, 4, 5]);
  expect(chosen("group=x")).toEqual([1, 5]);
  expect(chosen("group=x", 1)).toEqual([5]);
  expect(chosen("outcome=right", null, [0, 4, 5])).toEqual([0]);
  expect(chosen("", null, [])).toEqual([]);
  expect(chosen("", null, null, [5, 0])).toEqual([0, 5]);
});

test("failures come first, unscored items last either way", () => {
  const rows = Uint32Array.from([0, 1, 2, 3, 4, 5]);
  expect([...orderedItems(table, rows, itemSort(new URLSearchParams()))]).toEqual([2, 5, 0, 3, 1, 4]);
  expect([...orderedItems(table, rows, itemSort(new URLSearchParams("sort=-score")))]).toEqual([3, 0, 5, 2, 1, 4]);
  for (const odd of ["nonsense", "__proto__", "-toString", "excerpt"]) {
    expect([...orderedItems(table, rows, itemSort(new URLSearchParams({ sort: odd })))]).toEqual([2, 5, 0, 3, 1, 4]);
  }
});

test("groups of a benchmark", () => {
  expect(groups(table, null)).toEqual(["x", "y", "z"]);
  expect(groups(table, 0)).toEqual(["x", "y"]);
});

test("of items that ask the same the first that fits stands for all, unless they are asked for", () => {
  const clusters = { kind: "number" as const, values: Float64Array.from([7, 8, 7, 7, NaN, NaN]) };
  const together: Table = { rows: 6, columns: { ...table.columns, cluster: clusters } };
  const repeated: Table = {
    rows: 6,
    columns: { ...together.columns, repeats: { kind: "number", values: Float64Array.from([3, 1, 3, 3, 1, 1]) } },
  };
  const rows = (query: string, benchmark: number | null = null) => [
    ...chosenItems(repeated, { params: new URLSearchParams(query), benchmark, hits: null, slice: null }),
  ];
  expect(rows("")).toEqual([0, 1, 4, 5]);
  expect(rows("", 1)).toEqual([3, 4, 5]);
  expect(rows("outcome=wrong")).toEqual([2, 5]);
  expect(rows("repeats=all")).toEqual([0, 1, 2, 3, 4, 5]);
  expect(rows("cluster=7")).toEqual([0, 2, 3]);
  // Questions on one passage are a cluster too, but each asks something else.
  expect([
    ...chosenItems(together, { params: new URLSearchParams(), benchmark: null, hits: null, slice: null }),
  ]).toEqual([0, 1, 2, 3, 4, 5]);
});
