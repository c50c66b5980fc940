import { describe, expect, it } from "vitest";
import { type Axis, ticks } from "./axes";

const linear: Axis = { title: "", log: false, text: (value, digits) => value.toFixed(digits) };
const log: Axis = { title: "", log: true, text: String };

describe("ticks", () => {
  it.each([
    [0, 1, 5],
    [-0.83, 0.71, 8],
    [0.401, 0.4032, 6],
    [-300, 1200, 4],
  ])("from %d to %d are even, inside, and written differently", (low, high, wanted) => {
    const results = ticks(linear, low, high, wanted);
    expect(results.length).toBeGreaterThan(1);
    expect(new Set(results.map((tick) => tick.text)).size).toBe(results.length);
    for (const { at, text } of results) {
      expect(at >= low && at <= high).toBe(true);
      expect(Number(text)).toBeCloseTo(at, 9);
    }
  });
  it.each([
    [-3, 3, 6],
    [-0.2, 0.4, 5],
    [1.001, 1.02, 4],
    [-9, 8, 5],
  ])("of a logarithm from 10^%d to 10^%d are values in that range", (low, high, wanted) => {
    const results = ticks(log, low, high, wanted);
    expect(results.length).toBeGreaterThan(0);
    expect(results.length).toBeLessThanOrEqual(2 * wanted);
    for (const { at, text } of results) {
      expect(at).toBeGreaterThanOrEqual(low - 1e-9);
      expect(at).toBeLessThanOrEqual(high + 1e-9);
      expect(10 ** at).toBeCloseTo(Number(text), 6);
    }
  });
});
