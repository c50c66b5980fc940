import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { roundedUp } from "./bar";
import { heatOf, inkOn } from "./heat";
import { largest, reach } from "./IntervalBar";

const values = Float32Array.from({ length: 1000 }, (_, row) => (row % 2 ? 1 : -1) * (row / 1000));
values[999] = NaN;
const table: Table = {
  rows: 1000,
  columns: { association: { kind: "number", values }, ranked: { kind: "flag", values: new Uint8Array(1000).fill(1) } },
};

const linear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
function luminance(colour: string): number {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  const parts = hex ? hex.slice(1).map((text) => parseInt(text, 16)) : (colour.match(/[\d.]+/g) ?? []).map(Number);
  const [red, green, blue] = parts.map((part) => linear(part / 255));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

describe("heat", () => {
  it.each(["association", "chi_model", "chi_bench", "lift"])("can be read at every value of %s", (measure) => {
    for (const dark of [false, true]) {
      for (const value of [-Infinity, -5, -0.5, 1e-3, 0.03, 0.2, 0.5, 0.8, 1, 4, 30, Infinity]) {
        const colour = heatOf(measure, dark, table).colour(value)!;
        if (measure.startsWith("chi") && value < 0) continue;
        const [lighter, darker] = [luminance(colour), luminance(inkOn(colour))].sort((a, b) => b - a);
        expect((lighter! + 0.05) / (darker! + 0.05)).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
  it("leaves what a benchmark lacks uncoloured, and has one colour beyond its ends", () => {
    const coverage = heatOf("chi_bench", false, table);
    expect(coverage.colour(0)).toBeNull();
    expect(coverage.colour(1e-9)).toBe(coverage.stops[0]);
    const lift = heatOf("lift", false, table);
    expect([lift.colour(99), lift.colour(-Infinity)]).toEqual([lift.stops.at(-1), lift.stops[0]]);
  });
});

it("a scale reaches as far as 98 of 100 values, the same to both sides", () => {
  const sizes = [...values]
    .filter((value) => !Number.isNaN(value))
    .map(Math.abs)
    .sort((a, b) => a - b);
  expect(largest(table, "association")).toBe(sizes[Math.floor(0.98 * 998)]);
  const end = roundedUp(largest(table, "association"));
  expect(reach({ key: "association", kind: "points" }, table)).toEqual({ from: -end, to: end, neutral: 0 });
  expect(reach({ key: "chi_model", kind: "decimal" }, table)).toEqual({ from: 0, to: 1, neutral: null });
});
