import { expect, it } from "vitest";
import type { Table } from "../data/table";
import { everyRow } from "../data/table";
import { colours, legendText } from "./colouring";

const gap = Float64Array.from({ length: 400 }, (_, row) => (row === 7 ? -0.9 : (row % 11) / 100 - 0.05));
const table: Table = {
  rows: gap.length,
  columns: {
    gap: { kind: "number", values: gap },
    chi_bench: { kind: "number", values: gap.map((value) => 10 ** (20 * value)) },
    performance_status: { kind: "text", values: Array.from(gap, () => "typical") },
  },
};
const rows = everyRow(table.rows);

it.each([
  ["gap", "Gap"],
  ["coverage", "Coverage (χ bench), logarithmic"],
] as const)("the legend of %s says that what lies beyond its ends has their colours", (by, title) => {
  const { legend, of } = colours(by, { table, all: rows, rows, dark: false, themeName: String });
  if (legend.kind !== "ramp") throw new Error("no ramp");
  expect(legend.title).toBe(title);
  expect(legend.ticks.map((tick) => tick.text.replace(/[\d.,−+]+/, "x"))).toEqual(["x or less", "x", "x or more"]);
  expect(legendText(legend)).toMatch(/ or less to .* or more\.$/);
  if (by === "gap") expect(of(7)).toEqual([179, 74, 0]);
});
