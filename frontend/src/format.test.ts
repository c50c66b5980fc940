import { describe, expect, it } from "vitest";
import { decimal, magnitude, percent, probability, signed, tenths } from "./format";

/** What Python's functions of these names write. */
const PYTHON: Record<string, [number, string][]> = {
  magnitude: [
    [0, "0"],
    [0.125, "0.125"],
    [0.5, "0.500"],
    [0.005, "0.005"],
    [0.0123, "0.012"],
    [1, "1.00"],
    [1.15, "1.15"],
    [2.675, "2.67"],
    [12.5, "12.50"],
    [99.994, "99.99"],
    [99.996, "100.00"],
    [100.5, "100"],
    [1234.5, "1,234"],
    [1e6, "1,000,000"],
    [0.0001, "1.0e−4"],
    [0.00096, "9.6e−4"],
    [0.000995, "1.0e−3"],
    [1.5e-12, "1.5e−12"],
  ],
  tenths: [
    [0, "0"],
    [0.005, "0.0"],
    [0.125, "0.1"],
    [0.5, "0.5"],
    [1.15, "1.1"],
    [31.5, "31.5"],
    [99.994, "100.0"],
    [1234.5, "1,234.5"],
    [1e6, "1,000,000.0"],
  ],
  signed: [
    [0, "0.00"],
    [0.004, "0.00"],
    [-0.001, "0.00"],
    [0.125, "+0.12"],
    [-0.125, "−0.12"],
    [0.015, "+0.01"],
    [-0.5, "−0.50"],
    [-1.005, "−1.00"],
    [1.15, "+1.15"],
    [2.675, "+2.67"],
    [Infinity, "+∞"],
    [-Infinity, "−∞"],
  ],
  decimal: [
    [0, "0.00"],
    [0.125, "0.12"],
    [0.375, "0.38"],
    [0.005, "0.01"],
    [0.015, "0.01"],
    [0.994, "0.99"],
    [0.996, "1.00"],
    [1, "1.00"],
  ],
  percent: [
    [0, "0%"],
    [1, "100%"],
    [1e-6, "<0.001%"],
    [2e-5, "0.002%"],
    [0.0004, "0.04%"],
    [0.00096, "0.1%"],
    [0.0049, "0.5%"],
    [0.0096, "1.0%"],
    [0.01, "1%"],
    [0.015, "2%"],
    [0.025, "2%"],
    [0.125, "12%"],
    [0.375, "38%"],
    [0.985, "98%"],
    [0.9899, "99%"],
    [0.991, "99.1%"],
    [0.9994, "99.9%"],
    [0.9996, ">99.9%"],
    [0.99999, ">99.9%"],
  ],
};
const OURS: Record<string, (value: number) => string> = {
  magnitude,
  tenths,
  signed: (value) => signed(value),
  decimal: (value) => decimal(value),
  percent: (value) => percent(value),
};

describe.each(Object.entries(PYTHON))("%s", (name, pairs) => {
  it.each(pairs)("writes %d as the report does", (value, expected) => expect(OURS[name]!(value)).toBe(expected));
  it("writes what is undefined as N/A, never as 0", () =>
    expect([null, undefined, NaN].map((value) => OURS[name]!(value as never))).toEqual(["N/A", "N/A", "N/A"]));
});

it("a share with digits claims none and all only where that is so", () => {
  expect(percent(0.456, 1)).toBe("45.6%");
  expect(percent(0.9999, 1)).toBe(">99.9%");
  expect(percent(1, 1)).toBe("100.0%");
});

it("one minus sign everywhere", () => {
  expect([signed(-0.5), decimal(-0.5), magnitude(-2e-5), probability(1e-12)]).toEqual([
    "−0.50",
    "−0.50",
    "−2.0e−5",
    "<1e−9",
  ]);
});
