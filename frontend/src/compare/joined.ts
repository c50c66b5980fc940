/** Two runs of one SAE, concept by concept. */
import { unranked } from "../concepts/kinds";
import { columnNamed, everyRow, number, numbers, sortedBy, type Table, text, texts } from "../data/table";
import type { ConceptDifference } from "../data/types";

/** What is compared: a measure and the verdict that belongs to it. */
export interface Question {
  measure: "gap" | "chi_model" | "chi_bench";
  verdict: "performance_status" | "coverage_status";
  /** Verdicts in the order in which they are listed. */
  words: readonly string[];
  /** The verdicts that one looks for. */
  bad: readonly string[];
}

export const QUESTIONS: Record<"model" | "benchmark", Question> = {
  model: {
    measure: "gap",
    verdict: "performance_status",
    words: ["weak", "typical", "strong", "insufficient", "untested"],
    bad: ["weak"],
  },
  benchmark: {
    measure: "chi_bench",
    verdict: "coverage_status",
    words: ["missing", "under", "typical", "over"],
    bad: ["missing", "under"],
  },
};

/** Columns by which the differences can be sorted. */
export const SORTS = [
  ...["label", "a", "b", "difference", "q_value", "gap", "gap_q"],
  ...["verdict_a", "verdict_b", "support_a", "support_b"],
];

/** Columns of paired scores, by concept. */
export const PAIRED = [
  ...(["difference", "low", "high", "q_value", "better", "worse", "detectable"] as const),
  ...(["gap", "gap_low", "gap_high", "gap_q"] as const),
] as const;

export const NO_VERDICT = "N/A";

/**
 * A table with one row per concept and the columns of both runs: `concept`, `label` (of the first run, else of the
 * second), `a` and `b` (the measure, with `_low` and `_high`), `difference`, `verdict_a`, `verdict_b`, `support_a`,
 * `support_b`, and `changed` (1: verdicts differ). The difference of coverage is the binary logarithm of their ratio;
 * of performance it is that of the scores, item by item, with the other columns of `PAIRED`; null `paired`: not known.
 */
export function joined(
  first: Table,
  second: Table,
  question: Question,
  paired: readonly ConceptDifference[] | null = null,
): Table {
  const rows = Math.min(first.rows, second.rows);
  const [a, b] = [numbers(first, question.measure), numbers(second, question.measure)];
  const ratio = question.measure === "chi_bench";
  const difference = new Float64Array(rows).fill(NaN);
  const changed = new Uint8Array(rows);
  const [verdictA, verdictB] = [texts(first, question.verdict), texts(second, question.verdict)];
  for (let row = 0; row < rows; row++) {
    if (ratio && a[row]! > 0 && b[row]! > 0) difference[row] = Math.log2(b[row]! / a[row]!);
    changed[row] = verdictA[row] !== verdictB[row] ? 1 : 0;
  }
  const labels = texts(first, "label").map((label, row) => label ?? texts(second, "label")[row] ?? null);
  const columns: Table["columns"] = {
    concept: { kind: "number", values: Float64Array.from(everyRow(rows)) },
    label: { kind: "text", values: labels },
    difference: { kind: "number", values: difference },
    ...(ratio || paired === null ? {} : pairedColumns(rows, paired)),
    changed: { kind: "flag", values: changed },
  };
  columns.size = { kind: "number", values: Float64Array.from(numbers({ rows, columns }, "difference"), Math.abs) };
  for (const [side, table] of [
    ["a", first],
    ["b", second],
  ] as const) {
    const put = (name: string, key: string) => {
      const column = columnNamed(table, key);
      if (column) columns[name] = column;
    };
    put(side, question.measure);
    put(`${side}_low`, `${question.measure}_low`);
    put(`${side}_high`, `${question.measure}_high`);
    put(`verdict_${side}`, question.verdict);
    put(`support_${side}`, "support");
  }
  return { rows, columns };
}

function pairedColumns(rows: number, paired: readonly ConceptDifference[]): Table["columns"] {
  const columns: Table["columns"] = {};
  for (const name of PAIRED) {
    const values = new Float64Array(rows).fill(NaN);
    for (const row of paired) if (row.concept < rows) values[row.concept] = row[name] ?? NaN;
    columns[name] = { kind: "number", values };
  }
  return columns;
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
    { values: numbers(table, "size"), descending: true },
  ]);
}

/** Number of rows with each pair of verdicts: `counts.get("weak")?.get("typical")` are weak in the first run only. */
export function transitions(table: Table, rows: Uint32Array): Map<string, Map<string, number>> {
  const [a, b] = [texts(table, "verdict_a"), texts(table, "verdict_b")];
  const counts = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const [from, to] = [a[row] ?? NO_VERDICT, b[row] ?? NO_VERDICT];
    const line = counts.get(from) ?? new Map<string, number>();
    line.set(to, (line.get(to) ?? 0) + 1);
    counts.set(from, line);
  }
  return counts;
}

/** Verdicts on performance that follow from a test. */
const TESTED = ["weak", "typical", "strong"];

/** Why a run did not test a concept (of coverage: does not rank it), in two or three words; null: it did. */
export function reasonOf(run: Table, row: number, question: Question): string | null {
  const kind = unranked(run, row);
  if (kind) return kind;
  const verdict = text(run, question.verdict, row);
  if (question.verdict === "coverage_status") return verdict === null ? "no reference text" : null;
  if (TESTED.includes(verdict ?? "")) return null;
  if (verdict === "insufficient") return "too few items";
  return number(run, "support", row) === 0 ? "in no item" : "scores do not vary";
}

/** The table of both runs with the reasons of each: `reason_a` and `reason_b`, null where it was tested. */
export function withReasons(table: Table, first: Table, second: Table, question: Question): Table {
  const of = (run: Table) => ({
    kind: "text" as const,
    values: Array.from({ length: table.rows }, (_, row) => reasonOf(run, row, question)),
  });
  return { rows: table.rows, columns: { ...table.columns, reason_a: of(first), reason_b: of(second) } };
}

/** Reasons with how many concepts have them, most first. */
export type Reasons = [string, number][];

export interface Changes {
  /** Concepts tested in both runs, and how many of them have another verdict. */
  both: number;
  changed: number;
  /** Concepts tested in one run only, by the other's reason. */
  onlyA: Reasons;
  onlyB: Reasons;
  /** Tested in neither, with another verdict. */
  neither: number;
  /** Bad verdicts (`question.bad`): in both runs, in one only, and how many of these the other run did not test. */
  bad: { both: number; onlyA: number; onlyB: number; untestedInB: number; untestedInA: number };
}

/** How verdicts of the rows differ. `table` has reasons. */
export function changesOf(table: Table, rows: Uint32Array, { bad }: Question): Changes {
  const changed = numbers(table, "changed");
  const [reasonA, reasonB] = [texts(table, "reason_a"), texts(table, "reason_b")];
  const [a, b] = [texts(table, "verdict_a"), texts(table, "verdict_b")];
  const changes: Changes = {
    both: 0,
    changed: 0,
    onlyA: [],
    onlyB: [],
    neither: 0,
    bad: { both: 0, onlyA: 0, onlyB: 0, untestedInA: 0, untestedInB: 0 },
  };
  const [missedB, missedA] = [new Map<string, number>(), new Map<string, number>()];
  const add = (to: Map<string, number>, reason: string) => to.set(reason, (to.get(reason) ?? 0) + 1);
  for (const row of rows) {
    const [inA, inB] = [reasonA[row] ?? null, reasonB[row] ?? null];
    if (inA === null && inB === null) {
      changes.both++;
      changes.changed += changed[row]!;
    } else if (inA === null) add(missedB, inB!);
    else if (inB === null) add(missedA, inA);
    else changes.neither += changed[row]!;
    const [badA, badB] = [bad.includes(a[row] ?? ""), bad.includes(b[row] ?? "")];
    if (badA && badB) changes.bad.both++;
    else if (badA) {
      changes.bad.onlyA++;
      if (inB !== null) changes.bad.untestedInB++;
    } else if (badB) {
      changes.bad.onlyB++;
      if (inA !== null) changes.bad.untestedInA++;
    }
  }
  const most = (counts: Map<string, number>): Reasons => [...counts].sort((entry, other) => other[1] - entry[1]);
  return { ...changes, onlyA: most(missedB), onlyB: most(missedA) };
}
