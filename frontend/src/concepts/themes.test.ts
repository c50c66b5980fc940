import { describe, expect, it } from "vitest";
import type { Column, Table } from "../data/table";
import type { Theme } from "../data/types";
import { random } from "../random";
import { branches, countsOf, gapReach } from "./themes";

const ROWS = 500;
const next = random(3);
const pick = <T>(values: T[]): T => values[Math.floor(next() * values.length)]!;
const concepts = Array.from({ length: ROWS }, () => ({
  theme: pick([0, 1, 2, null]),
  ranked: next() < 0.8,
  performance: pick(["weak", "strong", "typical"]),
  coverage: pick(["missing", "typical", null]),
}));
const number = (values: (number | null)[]): Column => ({
  kind: "number",
  values: Float64Array.from(values, (value) => value ?? NaN),
});
const table: Table = {
  rows: ROWS,
  columns: {
    theme: number(concepts.map((concept) => concept.theme)),
    // Two subthemes to a theme.
    subtheme: number(concepts.map((concept, row) => (concept.theme === null ? null : 2 * concept.theme + (row % 2)))),
    ranked: { kind: "flag", values: Uint8Array.from(concepts, (value) => Number(value.ranked)) },
    performance_status: { kind: "text", values: concepts.map((concept) => concept.performance) },
    coverage_status: { kind: "text", values: concepts.map((concept) => concept.coverage) },
  },
};

const within = (gap: number | null, performance_status: string, chi_bench: number | null) => ({
  chi_bench,
  chi_model: null,
  support: 1,
  n_eff: 1,
  gap,
  gap_low: gap,
  gap_high: gap,
  q_value: null,
  performance_status,
});
const theme = (
  level: Theme["level"],
  id: number,
  parent: number | null,
  gap: number | null,
  status: string,
  benchmark: ReturnType<typeof within>,
): Theme => ({
  level,
  id,
  parent,
  name: null,
  kind: null,
  concepts: 10,
  ranked: 8,
  chi_bench_mean: id,
  chi_model_low: null,
  chi_model_high: null,
  missing_concepts: 0,
  weak_concepts: 0,
  benchmarks: [benchmark],
  ...within(gap, status, 8 * id),
});
const file: Theme[] = [
  theme("theme", 2, null, -0.3, "weak", within(null, "untested", 0)),
  theme("theme", 1, null, 0.2, "strong", within(-0.4, "weak", 16)),
  theme("theme", 0, null, -0.1, "typical", within(0.1, "strong", null)),
  theme("subtheme", 3, 1, -0.2, "weak", within(0.2, "typical", 4)),
  theme("subtheme", 2, 1, 0.1, "typical", within(-0.2, "typical", 8)),
];
const ids = (list: { theme: Theme }[]) => list.map((entry) => entry.theme.id);

it("counts ranked concepts of a theme by what became of them", () => {
  const counts = countsOf(table, "theme");
  for (const id of [0, 1, 2]) {
    const own = concepts.filter((concept) => concept.theme === id && concept.ranked);
    expect(counts.get(id)).toEqual({
      ranked: own.length,
      weak: own.filter((theme) => theme.performance === "weak").length,
      strong: own.filter((theme) => theme.performance === "strong").length,
      missing: own.filter((theme) => theme.coverage === "missing").length,
    });
  }
  expect(counts.size).toBe(3);
});

describe("the tree", () => {
  it("keeps the report's order of the suite, and has subthemes under their themes", () => {
    const tree = branches(file, table, "model", null);
    expect(ids(tree)).toEqual([2, 1, 0]);
    expect(tree.map((branch) => ids(branch.children))).toEqual([[], [3, 2], []]);
    expect(tree[0]).toMatchObject({ gap: -0.3, status: "weak", coverage: 2 });
  });
  it("has a benchmark's own figures and order: weak, strong, the rest by gap, undefined last", () => {
    const tree = branches(file, table, "model", 0);
    expect(ids(tree)).toEqual([1, 0, 2]);
    expect(ids(tree[0]!.children)).toEqual([2, 3]);
    expect(tree.map((branch) => branch.coverage)).toEqual([2, null, 0]);
  });
  it("has the largest missing share first when one asks about the benchmarks", () => {
    const counts = countsOf(table, "theme");
    const share = (id: number) => counts.get(id)!.missing / counts.get(id)!.ranked;
    expect(ids(branches(file, table, "benchmark", null))).toEqual([0, 1, 2].sort((a, b) => share(b) - share(a)));
  });
});

describe("the scale of the bars", () => {
  const [one] = branches(file, table, "model", null) as [ReturnType<typeof branches>[0]];
  const tested = [
    { ...one, tested: true, gap: -0.02, low: -0.0231, high: -0.01 },
    { ...one, tested: true, gap: 0.01, low: 0, high: 0.02 },
  ];
  it("covers every gap and interval of the tested branches that are shown", () => {
    for (const low of [-0.0231, -0.3, -0.9])
      expect(gapReach([{ ...tested[0]!, low }, tested[1]!])).toBeGreaterThanOrEqual(-low);
    expect(gapReach(tested)).toBe(0.024);
    expect(gapReach([])).toBe(0.01);
  });
  it("is not set by what could not be tested, unless there is nothing else", () => {
    const untested = { ...one, tested: false, gap: -0.733, low: null, high: null };
    expect(gapReach([...tested, untested])).toBe(gapReach(tested));
    expect(gapReach([untested])).toBe(0.74);
  });
});
