import { expect, it } from "vitest";
import { barParts, endDigits, roundedUp, type Scale } from "./IntervalBar";

const scale: Scale = { from: -0.5, to: 0.5, neutral: 0 };

it("draws what lies on the scale, ends among it, without a mark", () => {
  expect(barParts(scale, 0, -0.5, 0.5)).toEqual({ point: 0.5, range: [0, 1], before: false, beyond: false });
  expect(barParts(scale, null, null, null)).toEqual({ point: null, range: null, before: false, beyond: false });
});
it("marks the side on which an interval is cut off", () => {
  expect(barParts(scale, -0.25, -0.7, 0)).toEqual({ point: 0.25, range: [0, 0.5], before: true, beyond: false });
  expect(barParts(scale, 0.25, -0.7, 0.8)).toMatchObject({ before: true, beyond: true });
});
it("gives a value outside the scale no point", () => {
  expect(barParts(scale, -0.8, -0.9, -0.7)).toEqual({ point: null, range: [0, 0], before: true, beyond: false });
});
it("rounds the end of a scale up, and writes it in full", () => {
  for (const [value, end, digits] of [
    [0.0231, 0.024, 3],
    [0.03, 0.03, 3],
    [0.451, 0.46, 2],
    [0.1, 0.1, 2],
    [0.01, 0.01, 3],
    [2, 2, 1],
  ] as const) {
    expect(roundedUp(value)).toBe(end);
    expect(endDigits(end)).toBe(digits);
    expect(Number(end.toFixed(digits))).toBe(end);
  }
});
