import { expect, test } from "vitest";
import { random } from "../random";
import { histogram, linearEdges, logEdges, median } from "./bins";

test("a histogram counts what a plain loop counts", () => {
  const draw = random(3);
  const values = Float64Array.from({ length: 5000 }, (_, i) =>
    i % 50 === 0 ? NaN : i % 51 === 0 ? 1 : draw() * 1.2 - 0.1,
  );
  const rows = Uint32Array.from({ length: 2500 }, (_, i) => 2 * i);
  const edges = linearEdges(0, 1, 20);
  for (const [place, bin] of histogram(values, rows, edges).entries()) {
    const last = place === 19;
    const counted = [...rows].filter(
      (row) => values[row]! >= bin.low && (values[row]! < bin.high || (last && values[row] === bin.high)),
    );
    expect(bin.count).toBe(counted.length);
  }
});

test("logarithmic edges reach from the least to the greatest positive value", () => {
  const values = [0, 0.01, NaN, 3, 700, Infinity];
  const edges = logEdges(values, [0, 1, 2, 3, 4, 5], 10);
  expect([edges[0], edges[10]]).toEqual([0.01, 700]);
  expect(histogram(values, [0, 1, 2, 3, 4, 5], edges).reduce((sum, bin) => sum + bin.count, 0)).toBe(3);
  expect(logEdges([0, NaN], [0, 1], 10)).toEqual([]);
});

test("medians", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});
