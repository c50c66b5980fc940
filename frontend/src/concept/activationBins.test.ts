import { expect, it } from "vitest";
import { activationBins } from "./activationBins";

it("has no line where a bin has no scored item", () => {
  const bins = activationBins({ max: 4, counts: [2, 0, 6, 1], score: [0.5, null, 1, null] });
  expect(bins.map((bin) => bin.line)).toEqual([3, NaN, 6, NaN]);
  expect(bins.map((bin) => [bin.low, bin.middle, bin.high])).toEqual([
    [0, 0.5, 1],
    [1, 1.5, 2],
    [2, 2.5, 3],
    [3, 3.5, 4],
  ]);
});
