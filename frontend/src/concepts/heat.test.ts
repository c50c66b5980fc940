import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { roundedUp } from "./bar";
import { heatOf } from "./heat";
import { largest, reach } from "./IntervalBar";

const values = Float32Array.from({ length: 1000 }, (_, row) => (row % 2 ? 1 : -1) * (row / 1000));
values[999] = NaN;
const table: Table = {
  rows: 1000,
  columns: { gap: { kind: "number", values }, ranked: { kind: "flag", values: new Uint8Array(1000).fill(1) } },
};

const linear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
function luminance(colour: string): number {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  const parts = hex ? hex.slice(1).map((text) => parseInt(text, 16)) : (colour.match(/[\d.]+/g) ?? []).map(Number);
  const [red, green, blue] = parts.map((part) => linear(part / 255));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

describe("heat", () => {
  for (const measure of ["gap", "chi_model", "chi_bench", "lift"]) {
    for (const dark of [false, true]) {
      it(`can be read at every value of ${measure}, dark: ${dark}`, () => {
        const heat = heatOf(measure, dark, table);
        const signed = measure === "gap" || measure === "lift";
        const nothing = measure === "chi_bench" ? [] : [0];
        for (const value of [
          ...(signed ? [-Infinity, -5, -0.5, -0.1] : []),
          ...nothing,
          1e-3,
          0.03,
          0.2,
          0.5,
          0.8,
          1,
          4,
          30,
          Infinity,
        ]) {
          const { backgroundColor, color } = heat.style(value);
          const [lighter, darker] = [luminance(backgroundColor!), luminance(color!)].sort((a, b) => b - a);
          expect((lighter! + 0.05) / (darker! + 0.05)).toBeGreaterThanOrEqual(4.5);
        }
      });
    }
  }
  it("goes as far as the gaps of the benchmarks do", () => {
    const within: Table = {
      ...table,
      columns: {
        ...table.columns,
        "gap@0": { kind: "number", values: Float32Array.from(values, (value) => 3 * value) },
      },
    };
    const sizes = [...values]
      .filter((value) => !Number.isNaN(value))
      .map((value) => 3 * Math.abs(value))
      .sort((a, b) => a - b);
    expect(heatOf("gap", false, within).high).toBe(`+${sizes[Math.floor(0.95 * 998)]!.toFixed(2)} or more`);
  });
  it("leaves what a benchmark lacks uncoloured", () => {
    const { style, stops } = heatOf("chi_bench", false, table);
    expect(style(0).backgroundColor).toBeUndefined();
    expect(style(1e-9).backgroundColor).toBe(stops[0]);
  });
  it("has one colour for all that lies beyond its ends", () => {
    const { style, stops } = heatOf("lift", false, table);
    expect(style(99).backgroundColor).toBe(stops.at(-1));
    expect(style(-Infinity).backgroundColor).toBe(stops[0]);
  });
});

it("reaches as far as 98 of 100 values, the same to both sides", () => {
  const sizes = [...values]
    .filter((value) => !Number.isNaN(value))
    .map(Math.abs)
    .sort((a, b) => a - b);
  expect(largest(table, "gap")).toBe(sizes[Math.floor(0.98 * 998)]);
  const end = roundedUp(largest(table, "gap"));
  expect(reach({ key: "gap", kind: "signed" }, table)).toEqual({ from: -end, to: end, neutral: 0 });
  const wide: Table = {
    ...table,
    columns: { ...table.columns, gap_low: { kind: "number", values: Float32Array.from(values, (value) => 2 * value) } },
  };
  const ends = sizes.map((size) => 2 * size);
  expect(reach({ key: "gap", kind: "signed" }, wide).to).toBe(roundedUp(ends[Math.floor(0.9 * 998)]!));
  expect(reach({ key: "chi_model", kind: "decimal" }, table)).toEqual({ from: 0, to: 1, neutral: null });
});
