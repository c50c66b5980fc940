import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { random } from "../random";
import { bestPair, joined, ranks, spearman } from "./pair";

/** Ranks and their correlation straight from the definitions, in quadratic time. */
const slowRanks = (values: number[]) =>
  values.map(
    (value) =>
      1 + values.filter((other) => other < value).length + (values.filter((other) => other === value).length - 1) / 2,
  );
function slowPearson(a: number[], b: number[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  const product = (p: number[], mp: number, q: number[], mq: number) =>
    p.reduce((sum, value, i) => sum + (value - mp) * (q[i]! - mq), 0);
  return product(a, ma, b, mb) / Math.sqrt(product(a, ma, a, ma) * product(b, mb, b, mb));
}

describe("Spearman", () => {
  it("is Pearson of mean ranks, ties included", () => {
    const next = random(2);
    for (const size of [3, 10, 250]) {
      const a = Array.from({ length: size }, () => Math.floor(12 * next()));
      const b = a.map((value) => Math.floor(value / 2 + 8 * next()));
      expect([...ranks(a)]).toEqual(slowRanks(a));
      expect(spearman(a, b)).toBeCloseTo(slowPearson(slowRanks(a), slowRanks(b)), 12);
    }
  });
  it("is not defined below three values, nor where a side is constant", () => {
    expect(spearman([1, 2], [1, 2])).toBeNaN();
    expect(spearman([1, 2, 3], [4, 4, 4])).toBeNaN();
  });
});

const ROWS = 900;
function part(seed: number): Table {
  const next = random(seed);
  const numbers = (of: () => number) => ({ kind: "number" as const, values: Float64Array.from({ length: ROWS }, of) });
  return {
    rows: ROWS,
    columns: {
      chi_model: numbers(() => (next() < 0.3 ? NaN : next())),
      chi_bench: numbers(() => (next() < 0.3 ? 0 : 5 * next())),
      n_eff: numbers(() => 40 * next()),
    },
  };
}
const next = random(77);
const concepts: Table = {
  rows: ROWS,
  columns: { ranked: { kind: "flag", values: Uint8Array.from({ length: ROWS }, () => (next() < 0.8 ? 1 : 0)) } },
};

describe("two benchmarks", () => {
  const [x, y] = [part(21), part(22)];
  const of = (table: Table, key: string) => table.columns[key]!.values as Float64Array;
  const ranked = (row: number) => concepts.columns.ranked!.values[row] === 1;
  const rows = Array.from({ length: ROWS }, (_, row) => row).filter(ranked);

  it("share the ranked concepts that both measure, with evidence in both", () => {
    const pair = joined(concepts, x, y, "chi_model", 20);
    const has = (table: Table) => (row: number) => !Number.isNaN(of(table, "chi_model")[row]!);
    const both = rows.filter(has(x)).filter(has(y));
    expect([pair.inX, pair.inY, pair.inBoth]).toEqual([
      rows.filter(has(x)).length,
      rows.filter(has(y)).length,
      both.length,
    ]);
    const shown = both.filter((row) => Math.min(of(x, "n_eff")[row]!, of(y, "n_eff")[row]!) >= 20);
    expect([...pair.rows]).toEqual(shown);
    const values = (table: Table) => shown.map((row) => of(table, "chi_model")[row]!);
    expect(pair.spearman).toBeCloseTo(slowPearson(slowRanks(values(x)), slowRanks(values(y))), 10);
  });
  it("share coverage where it is above 0, without a floor", () => {
    const pair = joined(concepts, x, y, "chi_bench", 20);
    expect([...pair.rows]).toEqual(rows.filter((row) => of(x, "chi_bench")[row]! > 0 && of(y, "chi_bench")[row]! > 0));
  });
});

describe("the pair that is shown first", () => {
  const shared = [
    [90, 3, 8],
    [3, 70, 12],
    [8, 12, 60],
  ];
  it("shares most concepts, the diagonal left out", () => {
    expect(bestPair(shared, null)).toEqual([1, 2]);
    expect(bestPair(shared, 0)).toEqual([0, 2]);
  });
  it("is two different benchmarks even where none shares a concept", () => {
    const none = [0, 1].map((i) => [0, 1].map((j) => 5 * Number(i === j)));
    expect(bestPair(none, null)).toEqual([0, 1]);
    expect(bestPair(none, 1)).toEqual([1, 0]);
  });
});
