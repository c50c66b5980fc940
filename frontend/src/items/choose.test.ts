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
    excluded: { kind: "text", values: [null, null, null, null, "too long", null] },
  },
};
const chosen = (query: string, benchmark: number | null = null, found: number[] | null = null) => [
  ...chosenItems(table, new URLSearchParams(query), benchmark, found && Uint32Array.from(found)),
];

test("outcomes part the items: each is in exactly one", () => {
  const parts = ["wrong", "right", "unscored", "excluded"].map((one) => chosen(`outcome=${one}`));
  expect(parts).toEqual([[2, 5], [0, 3], [1], [4]]);
  expect(parts.flat().sort()).toEqual([0, 1, 2, 3, 4, 5]);
});

test("filters are joined", () => {
  expect(chosen("", 1)).toEqual([3, 4, 5]);
  expect(chosen("group=x")).toEqual([1, 5]);
  expect(chosen("group=x", 1)).toEqual([5]);
  expect(chosen("outcome=right", null, [0, 4, 5])).toEqual([0]);
  expect(chosen("", null, [])).toEqual([]);
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
