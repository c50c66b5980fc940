import { describe, expect, it, vi } from "vitest";
import type { Table } from "../data/table";
import { joined, QUESTIONS } from "./joined";
import { changesOf, reasonOf, withReasons } from "./reasons";

// The address belongs to a page, and there is none here.
vi.mock("../app/route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

interface Concept {
  verdict: string;
  flag?: "template" | "dense" | "dead";
  support?: number;
  coverage?: string | null;
}
function run(concepts: Concept[]): Table {
  const flag = (of: (one: Concept) => boolean) => ({
    kind: "flag" as const,
    values: Uint8Array.from(concepts, (one) => Number(of(one))),
  });
  const zeros = { kind: "number" as const, values: new Float64Array(concepts.length) };
  return {
    rows: concepts.length,
    columns: {
      label: { kind: "text", values: concepts.map(() => null) },
      gap: zeros,
      chi_bench: zeros,
      performance_status: { kind: "text", values: concepts.map((one) => one.verdict) },
      coverage_status: { kind: "text", values: concepts.map((one) => one.coverage ?? null) },
      support: { kind: "number", values: Float64Array.from(concepts, (one) => one.support ?? 9) },
      ranked: flag((one) => !one.flag),
      alive: flag((one) => one.flag !== "dead"),
      template: flag((one) => one.flag === "template"),
      dense: flag((one) => one.flag === "dense"),
      exact_token: flag(() => false),
    },
  };
}

const first = run([
  { verdict: "weak" },
  { verdict: "weak" },
  { verdict: "typical" },
  { verdict: "insufficient" },
  { verdict: "insufficient" },
  { verdict: "untested", support: 0 },
  { verdict: "untested" },
]);
const second = run([
  { verdict: "weak" },
  { verdict: "untested", flag: "template" },
  { verdict: "weak" },
  { verdict: "weak" },
  { verdict: "untested", flag: "dead" },
  { verdict: "untested", support: 0 },
  { verdict: "typical" },
]);
const rows = Uint32Array.from({ length: first.rows }, (_, row) => row);

it("says why a run has no test of a concept", () => {
  const said = (table: Table) => [...rows].map((row) => reasonOf(table, row, QUESTIONS.model));
  expect(said(first)).toEqual([null, null, null, "too few items", "too few items", "in no item", "scores do not vary"]);
  expect(said(second)).toEqual([null, "template", null, null, "never active", "in no item", null]);
  expect(reasonOf(run([{ verdict: "untested", flag: "dense", coverage: "over" }]), 0, QUESTIONS.benchmark)).toBe(
    "dense",
  );
  expect(reasonOf(run([{ verdict: "untested", coverage: "missing", support: 0 }]), 0, QUESTIONS.benchmark)).toBeNull();
});

describe("changed verdicts", () => {
  const table = withReasons(joined(first, second, QUESTIONS.model), first, second, QUESTIONS.model);
  const found = changesOf(table, rows, QUESTIONS.model);
  it("are counted among concepts tested in both runs, apart from those that one run could not test", () => {
    expect(found).toMatchObject({
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
    expect(found.bad).toEqual({ both: 1, onlyA: 1, onlyB: 2, untestedInB: 1, untestedInA: 1 });
  });
});
