/** Two runs side by side: concepts of one SAE, and the settings that differ. */
import { columnNamed, everyRow, numbers, sortedBy, type Table, texts } from "../data/table";
import type { RunInfo } from "../data/types";
import { shorten, visible } from "../text";

/** What is compared: a measure and the verdict that belongs to it. */
export interface Question {
  measure: "gap" | "chi_bench";
  verdict: "performance_status" | "coverage_status";
  /** Verdicts that follow from a test, or a rank. */
  tested: readonly string[];
  /** The verdicts that one looks for. */
  bad: readonly string[];
}

export const QUESTIONS: Record<"model" | "benchmark", Question> = {
  model: {
    measure: "gap",
    verdict: "performance_status",
    tested: ["weak", "negligible", "typical", "strong"],
    bad: ["weak"],
  },
  benchmark: {
    measure: "chi_bench",
    verdict: "coverage_status",
    tested: ["missing", "under", "typical", "over"],
    bad: ["missing", "under"],
  },
};

/** Columns by which the differences can be sorted. */
export const SORTS = [...["label", "a", "b", "difference", "verdict_a", "verdict_b", "support_a", "support_b"]];

/**
 * A table with one row per concept and the columns of both runs: `label` (of the first run, else of the second), `a`
 * and `b` (the measure, with `_low` and `_high`), `difference`, `verdict_a`, `verdict_b`, `support_a`, `support_b`, and
 * `changed` (1: verdicts differ). The difference of coverage is the binary logarithm of their ratio.
 */
export function joined(first: Table, second: Table, question: Question): Table {
  const rows = Math.min(first.rows, second.rows);
  const [a, b] = [numbers(first, question.measure), numbers(second, question.measure)];
  const [verdictA, verdictB] = [texts(first, question.verdict), texts(second, question.verdict)];
  const column = (of: (row: number) => number) => ({
    kind: "number" as const,
    values: Float64Array.from(everyRow(rows), of),
  });
  const ratio = (row: number) => (a[row]! > 0 && b[row]! > 0 ? Math.log2(b[row]! / a[row]!) : NaN);
  const columns: Table["columns"] = {
    label: {
      kind: "text",
      values: texts(first, "label").map((label, row) => label ?? texts(second, "label")[row] ?? null),
    },
    difference: column(question.measure === "chi_bench" ? ratio : (row) => b[row]! - a[row]!),
    changed: column((row) => Number(verdictA[row] !== verdictB[row])),
  };
  for (const [side, table] of [
    ["a", first],
    ["b", second],
  ] as const) {
    const { measure, verdict } = question;
    const names = { "": measure, _low: `${measure}_low`, _high: `${measure}_high` };
    for (const [end, key] of Object.entries(names)) {
      const column = columnNamed(table, key);
      if (column) columns[side + end] = column;
    }
    columns[`verdict_${side}`] = columnNamed(table, verdict)!;
    columns[`support_${side}`] = columnNamed(table, "support")!;
  }
  return { rows, columns };
}

/** Concepts that are ranked in at least one of the runs. */
export function rankedInEither(first: Table, second: Table): Uint32Array {
  const [a, b] = [numbers(first, "ranked"), numbers(second, "ranked")];
  return everyRow(Math.min(first.rows, second.rows)).filter((row) => a[row] === 1 || b[row] === 1);
}

/** Changed verdicts first, then the largest differences. */
export function changedFirst(table: Table, rows: Uint32Array): Uint32Array {
  return sortedBy(rows, [
    { values: numbers(table, "changed"), descending: true },
    { values: Float64Array.from(numbers(table, "difference"), Math.abs), descending: true },
  ]);
}

export interface Changes {
  /** Concepts tested in both runs, and how many of them have another verdict. */
  both: number;
  changed: number;
  /** Concepts tested in one run only. */
  onlyA: number;
  onlyB: number;
  /** Bad verdicts (`question.bad`): in both runs, or in one only. */
  bad: { both: number; onlyA: number; onlyB: number };
}

/** How verdicts of the rows differ. Verdicts of which one follows from no test are no change. */
export function changesOf(table: Table, rows: Uint32Array, { bad, tested }: Question): Changes {
  const [a, b] = [texts(table, "verdict_a"), texts(table, "verdict_b")];
  const count = (test: (a: string, b: string) => boolean) =>
    rows.reduce((sum, row) => sum + Number(test(a[row] ?? "", b[row] ?? "")), 0);
  const both = (a: string, b: string) => tested.includes(a) && tested.includes(b);
  return {
    both: count(both),
    changed: count((a, b) => both(a, b) && a !== b),
    onlyA: count((a, b) => tested.includes(a) && !tested.includes(b)),
    onlyB: count((a, b) => tested.includes(b) && !tested.includes(a)),
    bad: {
      both: count((a, b) => bad.includes(a) && bad.includes(b)),
      onlyA: count((a, b) => bad.includes(a) && !bad.includes(b)),
      onlyB: count((a, b) => bad.includes(b) && !bad.includes(a)),
    },
  };
}

/** Facts of the run card that change numbers. */
const FACTS = ["Weights", "SAE", "Hook", "Span", "Pooling", "Definitions", "Reference"];
/** As many differences are named. */
const NAMED = 12;

/** What differs between the run cards and between the settings that both runs tell, in words. */
export function settingsThatDiffer(first: RunInfo, second: RunInfo): string[] {
  const lines = (run: RunInfo) =>
    new Map([
      ["model that was scored", run.scored.model],
      ...run.card.flatMap(({ name, value }): [string, string][] => (FACTS.includes(name) ? [[name, value]] : [])),
      ...run.settings.filter(([name]) => name !== "out"),
    ]);
  const others = lines(second);
  const short = (text: string) => shorten(visible(text), 60);
  const words = [...lines(first)]
    .filter(([name, value]) => others.has(name) && others.get(name) !== value)
    .map(([name, value]) => `${short(name)} (${short(value)} / ${short(others.get(name)!)})`);
  return words.length > NAMED ? [...words.slice(0, NAMED), `${words.length - NAMED} more`] : words;
}
