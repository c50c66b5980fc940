import { describe, expect, it } from "vitest";
import { placeOf } from "../app/benchmarks";
import type { Table } from "../data/table";
import { random } from "../random";
import {
  changedFirst,
  changesOf,
  joined,
  QUESTIONS,
  rankedInEither,
  reasonOf,
  transitions,
  withReasons,
} from "./joined";

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
      performance_status: words(QUESTIONS.model.words),
      coverage_status: words([...QUESTIONS.benchmark.words, null]),
      ranked: { kind: "flag", values: Uint8Array.from({ length: ROWS }, () => (next() < 0.7 ? 1 : 0)) },
    },
  };
}

const [first, second] = [run(1), run(2)];
const of = (table: Table, key: string, row: number) => table.columns[key]!.values[row]!;

describe("two runs", () => {
  const table = joined(first, second, QUESTIONS.model);
  const rows = rankedInEither(first, second);

  it("are set against each other concept by concept", () => {
    expect([...rows]).toEqual(
      Array.from({ length: ROWS }, (_, row) => row).filter(
        (row) => of(first, "ranked", row) || of(second, "ranked", row),
      ),
    );
    for (let row = 0; row < ROWS; row++) {
      expect(of(table, "a", row)).toBe(Number(of(first, "gap", row)));
      expect(of(table, "difference", row)).toBeNaN();
      expect(of(table, "changed", row)).toBe(
        of(first, "performance_status", row) === of(second, "performance_status", row) ? 0 : 1,
      );
      expect(of(table, "label", row)).toBe(of(first, "label", row) ?? of(second, "label", row));
    }
  });
  it("differ in scores item by item where that is known, and not by their gaps", () => {
    const difference = { clusters: 9, low: -0.5, high: 0.1, p_value: 0.2, q_value: 0.4, better: 1, worse: 3 };
    const further = { detectable: 0.3, status: "same" as const, gap: null, gap_low: null, gap_high: null, gap_q: null };
    const paired = [
      { ...difference, ...further, concept: 4, difference: -0.2 },
      { ...difference, ...further, concept: ROWS + 1, difference: 0.9 },
    ];
    const table = joined(first, second, QUESTIONS.model, paired);
    expect(of(table, "difference", 4)).toBe(-0.2);
    expect(of(table, "size", 4)).toBe(0.2);
    expect([of(table, "low", 4), of(table, "q_value", 4), of(table, "worse", 4)]).toEqual([-0.5, 0.4, 3]);
    expect(of(table, "gap", 4)).toBeNaN();
    expect(of(table, "difference", 5)).toBeNaN();
    expect(joined(first, second, QUESTIONS.benchmark, paired).columns).not.toHaveProperty("q_value");
  });
  it("differ in coverage by the logarithm of a ratio, not defined where one has none", () => {
    const coverage = joined(first, second, QUESTIONS.benchmark);
    for (let row = 0; row < ROWS; row++) {
      const [a, b] = [Number(of(first, "chi_bench", row)), Number(of(second, "chi_bench", row))];
      if (a > 0 && b > 0) expect(2 ** Number(of(coverage, "difference", row)) * a).toBeCloseTo(b, 9);
      else expect(of(coverage, "difference", row)).toBeNaN();
    }
  });
  it("are listed with changed verdicts first, then by the size of the difference, undefined ones last", () => {
    const order = changedFirst(table, rows);
    expect([...order].sort((a, b) => a - b)).toEqual([...rows]);
    const key = (row: number) =>
      [
        -of(table, "changed", row),
        Number.isNaN(of(table, "difference", row)) ? Infinity : -Math.abs(Number(of(table, "difference", row))),
      ] as const;
    for (let i = 1; i < order.length; i++) {
      const [above, below] = [key(order[i - 1]!), key(order[i]!)];
      expect(above[0] < below[0] || (above[0] === below[0] && above[1] <= below[1])).toBe(true);
    }
  });
  it("have counts of verdicts that add up to the rows", () => {
    const coverage = joined(first, second, QUESTIONS.benchmark);
    const counts = transitions(coverage, rows);
    let sum = 0;
    for (const [from, line] of counts) {
      for (const [to, count] of line) {
        sum += count;
        const as = (table_: Table, row: number) => of(table_, "coverage_status", row) ?? "N/A";
        expect(count).toBe([...rows].filter((row) => as(first, row) === from && as(second, row) === to).length);
      }
    }
    expect(sum).toBe(rows.length);
  });
  it("have benchmarks of one name", () => {
    expect(placeOf("b", [{ name: "a" }, { name: "b" }])).toBe(1);
    expect(placeOf("c", [{ name: "a" }])).toBeNull();
  });
});

interface Concept {
  verdict: string;
  kind?: "template" | "dense" | "dead";
  support?: number;
  coverage?: string | null;
}
function runOf(concepts: Concept[]): Table {
  const flag = (of: (concept: Concept) => boolean) => ({
    kind: "flag" as const,
    values: Uint8Array.from(concepts, (concept) => Number(of(concept))),
  });
  const zeros = { kind: "number" as const, values: new Float64Array(concepts.length) };
  return {
    rows: concepts.length,
    columns: {
      label: { kind: "text", values: concepts.map(() => null) },
      gap: zeros,
      chi_bench: zeros,
      performance_status: { kind: "text", values: concepts.map((concept) => concept.verdict) },
      coverage_status: { kind: "text", values: concepts.map((concept) => concept.coverage ?? null) },
      support: { kind: "number", values: Float64Array.from(concepts, (concept) => concept.support ?? 9) },
      ranked: flag((concept) => !concept.kind),
      alive: flag((concept) => concept.kind !== "dead"),
      kind: { kind: "text", values: concepts.map(({ kind }) => (kind === "dead" ? null : (kind ?? "contextual"))) },
    },
  };
}

const older = runOf([
  { verdict: "weak" },
  { verdict: "weak" },
  { verdict: "typical" },
  { verdict: "insufficient" },
  { verdict: "insufficient" },
  { verdict: "untested", support: 0 },
  { verdict: "untested" },
]);
const newer = runOf([
  { verdict: "weak" },
  { verdict: "untested", kind: "template" },
  { verdict: "weak" },
  { verdict: "weak" },
  { verdict: "untested", kind: "dead" },
  { verdict: "untested", support: 0 },
  { verdict: "typical" },
]);
const rows = Uint32Array.from({ length: older.rows }, (_, row) => row);

it("says why a run has no test of a concept", () => {
  const texts = (table: Table) => [...rows].map((row) => reasonOf(table, row, QUESTIONS.model));
  expect(texts(older)).toEqual([
    null,
    null,
    null,
    "too few items",
    "too few items",
    "in no item",
    "scores do not vary",
  ]);
  expect(texts(newer)).toEqual([null, "template", null, null, "never active", "in no item", null]);
  expect(reasonOf(runOf([{ verdict: "untested", kind: "dense", coverage: "over" }]), 0, QUESTIONS.benchmark)).toBe(
    "dense",
  );
  expect(
    reasonOf(runOf([{ verdict: "untested", coverage: "missing", support: 0 }]), 0, QUESTIONS.benchmark),
  ).toBeNull();
});

describe("changed verdicts", () => {
  const table = withReasons(joined(older, newer, QUESTIONS.model), older, newer, QUESTIONS.model);
  const result = changesOf(table, rows, QUESTIONS.model);
  it("are counted among concepts tested in both runs, apart from those that one run could not test", () => {
    expect(result).toMatchObject({
      both: 2,
      changed: 1,
      onlyA: [["template", 1]],
      onlyB: [
        ["too few items", 1],
        ["scores do not vary", 1],
      ],
      neither: 1,
    });
  });
  it("say of weak ones in one run whether the other tested them", () => {
    expect(result.bad).toEqual({ both: 1, onlyA: 1, onlyB: 2, untestedInB: 1, untestedInA: 1 });
  });
});
