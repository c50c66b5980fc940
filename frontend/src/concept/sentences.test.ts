import { describe, expect, it } from "vitest";
import { kindOf, unranked } from "../concepts/kinds";
import type { Column, Table } from "../data/table";
import type { RunInfo } from "../data/types";
import { coverage, of, verdict, verdictWithin } from "./sentences";

const run = {
  evidence: { min_n_eff: 20, q: 0.05, level: 0.95, min_gap: 0.01, alike: "at equal length" },
  unit: "1 = mean over alive concepts",
  has: { lift: true, tokens: false },
} as RunInfo;
const USUAL = {
  performance_status: "typical",
  coverage_status: "typical",
  support: 40,
  n_eff: 31.26,
  gap: -0.2,
  gap_low: -0.3,
  gap_high: -0.1,
  q_value: 0.004,
  chi_bench: 1.5,
  lift: 1,
  density: 0.012,
  chance_seen: NaN,
  alive: true,
  missing: false,
  ranked: true,
  kind: "contextual",
};

/** A table of one concept. */
function table(changed: Partial<Record<keyof typeof USUAL, unknown>>): Table {
  const column = (value: unknown): Column =>
    typeof value === "boolean"
      ? { kind: "flag", values: Uint8Array.of(Number(value)) }
      : typeof value === "number"
        ? { kind: "number", values: Float64Array.of(value) }
        : { kind: "text", values: [value as string | null] };
  return {
    rows: 1,
    columns: Object.fromEntries(Object.entries({ ...USUAL, ...changed }).map(([key, value]) => [key, column(value)])),
  };
}

const GAP =
  "Gap to other items of the same benchmark at equal length: " +
  "−0.20 [−0.30, −0.10] (q = 0.004; active in 40 items, n_eff 31.3).";

describe("the verdict", () => {
  it("has the gap with its interval, q and size", () => {
    expect(verdict(run, table({ performance_status: "weak" }), 0)).toBe(`The model is weak here. ${GAP}`);
    expect(verdict(run, table({ performance_status: "weak", q_value: 1e-12 }), 0)).toContain("(q < 1e−9; ");
    expect(verdict(run, table({}), 0)).toMatch(/^No evidence that the model is weak or strong here: gap −0.20/);
  });
  it("tells what is too small to matter from a weakness", () => {
    expect(verdict(run, table({ performance_status: "negligible", gap: -0.004 }), 0)).toMatch(
      /^There is a gap here, but it is smaller than 0.01: /,
    );
  });
  it("says why there is none", () => {
    expect(verdict(run, table({ performance_status: "insufficient", n_eff: 3 }), 0)).toBe(
      "Too little data to test: active in 40 items, worth 3.0 of equal weight (n_eff); a test needs 20.0.",
    );
    const untested = { performance_status: "untested", gap: NaN, q_value: NaN };
    expect(verdict(run, table({ ...untested, alive: false, missing: false, ranked: false }), 0)).toMatch(
      /^Never active/,
    );
    expect(verdict(run, table({ ...untested, missing: true }), 0)).toMatch(/^Missing: no item/);
    expect(verdict(run, table({ ...untested, ranked: false, kind: "token" }), 0)).toMatch(
      /^Not tested, because of its kind \(token\)/,
    );
    expect(verdict(run, table({ ...untested, ranked: false, kind: "mixed" }), 0)).toMatch(
      /\(mixed\): the texts in which it is strongest have no meaning in common/,
    );
    expect(verdict(run, table(untested), 0)).toMatch(/^Not tested: none of the 40 items/);
    expect(verdict(run, table({ ...untested, support: 1 }), 0)).toContain("1 item ");
  });
});

describe("the verdict within a benchmark", () => {
  it("names the benchmark and measures from its average", () => {
    expect(verdictWithin(run, table({ performance_status: "weak" }), 0, "maths")).toBe(
      `In maths: the model is weak here. ${GAP}`,
    );
    expect(verdictWithin(run, table({}), 0, "maths")).toMatch(/^In maths: no evidence that/);
    expect(verdictWithin(run, table({ performance_status: "untested", support: 0 }), 0, "maths")).toBe(
      "In maths: none of its items activates the concept.",
    );
  });
  it("is silent where the suite says all there is to say", () => {
    for (const change of [
      { alive: false, ranked: false },
      { missing: true, support: 0 },
      { ranked: false, dense: true },
    ]) {
      expect(verdictWithin(run, table({ performance_status: "untested", ...change }), 0, "maths")).toBeNull();
    }
  });
  it("leaves the suite's sentence beside it, which says so", () => {
    expect(of("Over all 12 benchmarks", verdict(run, table({}), 0))).toMatch(
      /^Over all 12 benchmarks: no evidence that .* here: gap −0.20/,
    );
  });
});

describe("the coverage", () => {
  it("turns a lift into how many times", () => {
    expect(coverage(run, table({ lift: -2 }), 0)).toContain(
      "4.0 times smaller here than in the reference text (lift −2.00)",
    );
    expect(coverage(run, table({ lift: 1 }), 0)).toContain("2.0 times larger");
    expect(coverage(run, table({ lift: Infinity }), 0)).toContain("It is never active in the reference text.");
    expect(coverage(run, table({ lift: NaN }), 0)).not.toContain("times");
  });
  it("never calls undefined zero", () => {
    expect(coverage(run, table({ alive: false, chi_bench: NaN, density: NaN }), 0)).toBe(
      "Its coverage is not defined.",
    );
    expect(coverage(run, table({ missing: true, chance_seen: 0.97, chi_bench: 0 }), 0)).toContain(
      "would almost certainly activate it (97%)",
    );
    expect(coverage(run, table({ missing: true, chance_seen: 0.99996, chi_bench: 0 }), 0)).toContain(
      "almost certainly activate it (>99.9%)",
    );
    const unlikely = table({ missing: true, chance_seen: 0.31, chi_bench: 0 });
    expect(coverage(run, unlikely, 0)).toContain("a probability of 31%");
    expect(coverage(run, table({ missing: true, chance_seen: NaN, chi_bench: 0 }), 0)).not.toContain("chance");
  });
});

it("kinds are words", () => {
  expect(unranked(table({ kind: "template", ranked: false }), 0)).toBe("template");
  expect(unranked(table({ kind: "token", ranked: true }), 0)).toBeNull();
  expect(kindOf(table({ kind: "token", ranked: true }), 0)).toBe("token");
  expect(kindOf(table({}), 0)).toBeNull();
});
