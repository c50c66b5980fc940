import { expect, it } from "vitest";
import { csvFile } from "../data/download";
import type { Column, Table } from "../data/table";
import type { ColumnSpec, RunInfo } from "../data/types";
import { fieldsOf } from "./file";

const number = (values: number[]): Column => ({ kind: "number", values: Float64Array.from(values) });
const table: Table = {
  rows: 4,
  columns: {
    concept: number([0, 1, 2, 3]),
    label: { kind: "text", values: ["a", "b", "c", "d"] },
    gap: number([-0.4, -0.3, -0.2, 0]),
    gap_low: number([-0.5, -0.4, -0.3, -0.1]),
    gap_high: number([-0.3, -0.2, -0.1, 0.1]),
    leader: number([1, 1, 2, NaN]),
    followers: number([NaN, 1, 0, NaN]),
  },
};
const spec = (key: string, interval = false) =>
  ({ key, title: key, hint: "", kind: "integer", face: "model", interval, per_benchmark: false }) as ColumnSpec;
const run = { benchmarks: [] } as unknown as RunInfo;
const fields = (specs: ColumnSpec[]) =>
  fieldsOf({ run, table, specs, each: null, rows: new Uint32Array(), address: "" });

it("has the ends of intervals beside their values", () => {
  expect(fields([spec("gap", true)]).map((field) => field.name)).toEqual([
    "concept",
    "label",
    "gap",
    "gap_low",
    "gap_high",
  ]);
});
it("tells what the column “more” tells: a follower's leader, a leader's followers", () => {
  const shown = fields([spec("followers")]);
  expect(shown.map((entry) => entry.name)).toEqual(["concept", "label", "leader", "followers"]);
  expect(
    csvFile(shown, Uint32Array.of(0, 1, 2, 3))
      .split("\r\n")
      .slice(1, 5),
  ).toEqual(["0,a,1,", "1,b,1,1", "2,c,2,0", "3,d,,"]);
});
