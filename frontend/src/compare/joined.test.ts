import { expect, it } from "vitest";
import type { Table } from "../data/table";
import type { RunInfo } from "../data/types";
import { random } from "../random";
import { changedFirst, changesOf, joined, QUESTIONS, rankedInEither, settingsThatDiffer } from "./joined";

const ROWS = 700;
function run(seed: number): Table {
  const next = random(seed);
  const numbers = (of: () => number) => ({ kind: "number" as const, values: Float64Array.from({ length: ROWS }, of) });
  const words = (list: readonly (string | null)[]) => ({
    kind: "text" as const,
    values: Array.from({ length: ROWS }, () => list[Math.floor(next() * list.length)]!),
  });
  return {
    rows: ROWS,
    columns: {
      label: words(["a river", "names", null]),
      gap: numbers(() => (next() < 0.2 ? NaN : next() - 0.5)),
      chi_bench: numbers(() => (next() < 0.2 ? 0 : 3 * next())),
      support: numbers(() => Math.floor(90 * next())),
      performance_status: words(["weak", "typical", "strong", "negligible", "insufficient", "untested"]),
      coverage_status: words(["missing", "under", "typical", "over", null]),
      ranked: numbers(() => (next() < 0.7 ? 1 : 0)),
    },
  };
}
const [first, second] = [run(1), run(2)];
const of = (table: Table, key: string, row: number) => table.columns[key]!.values[row]!;
const rows = rankedInEither(first, second);

it("two runs are set against each other concept by concept", () => {
  expect([...rows]).toEqual(
    [...Array(ROWS).keys()].filter((row) => of(first, "ranked", row) || of(second, "ranked", row)),
  );
  const coverage = joined(first, second, QUESTIONS.benchmark);
  for (const row of rows) {
    const [a, b] = [of(first, "chi_bench", row) as number, of(second, "chi_bench", row) as number];
    expect(of(coverage, "difference", row)).toEqual(a > 0 && b > 0 ? Math.log2(b / a) : NaN);
    expect(of(coverage, "label", row)).toBe(of(first, "label", row) ?? of(second, "label", row));
  }
  const order = [...changedFirst(coverage, rows)];
  const changed = order.map((row) => of(coverage, "changed", row) as number);
  expect(changed).toEqual(changed.slice().sort((a, b) => b - a));
});

it.each(["model", "benchmark"] as const)("verdicts of the %s are counted where both runs could tell", (face) => {
  const { verdict, tested, bad } = QUESTIONS[face];
  const pairs = [...rows].map(
    (row) => [of(first, verdict, row) as string, of(second, verdict, row) as string] as const,
  );
  const is = (words: readonly string[], verdict: string) => words.includes(verdict);
  const both = pairs.filter(([a, b]) => is(tested, a) && is(tested, b));
  expect(changesOf(joined(first, second, QUESTIONS[face]), rows, QUESTIONS[face])).toEqual({
    both: both.length,
    changed: both.filter(([a, b]) => a !== b).length,
    onlyA: pairs.filter(([a, b]) => is(tested, a) && !is(tested, b)).length,
    onlyB: pairs.filter(([a, b]) => !is(tested, a) && is(tested, b)).length,
    bad: {
      both: pairs.filter(([a, b]) => is(bad, a) && is(bad, b)).length,
      onlyA: pairs.filter(([a, b]) => is(bad, a) && !is(bad, b)).length,
      onlyB: pairs.filter(([a, b]) => !is(bad, a) && is(bad, b)).length,
    },
  });
});

it("settings are told where both runs have them and they differ", () => {
  const made = (model: string, span: string, settings: [string, string][]) =>
    ({ scored: { model }, card: [{ name: "Span", value: span, note: "" }], settings }) as unknown as RunInfo;
  const [a, b] = [
    made("m", "prompt", [
      ["out", "x"],
      ["evidence.q", "0.05"],
    ]),
    made("m", "all", [["out", "y"]]),
  ];
  expect(settingsThatDiffer(a, b)).toEqual(["Span (prompt / all)"]);
  expect(settingsThatDiffer(a, a)).toEqual([]);
});
