/** Why a run has no test of a concept, and how many verdicts differ for that reason only. */
import { flagsOf } from "../concepts/filters";
import { number, numbers, type Table, text, texts } from "../data/table";
import type { Question } from "./joined";

/** Verdicts on performance that follow from a test. */
const TESTED = ["weak", "typical", "strong"];

/** Why a run did not test a concept (of coverage: does not rank it), in two or three words; null: it did. */
export function reasonOf(run: Table, row: number, question: Question): string | null {
  const flags = flagsOf(run, row);
  if (flags.length) return flags.join(", ");
  const verdict = text(run, question.verdict, row);
  if (question.verdict === "coverage_status") return verdict === null ? "never active" : null;
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
  const found: Changes = {
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
      found.both++;
      found.changed += changed[row]!;
    } else if (inA === null) add(missedB, inB!);
    else if (inB === null) add(missedA, inA);
    else found.neither += changed[row]!;
    const [badA, badB] = [bad.includes(a[row] ?? ""), bad.includes(b[row] ?? "")];
    if (badA && badB) found.bad.both++;
    else if (badA) {
      found.bad.onlyA++;
      if (inB !== null) found.bad.untestedInB++;
    } else if (badB) {
      found.bad.onlyB++;
      if (inA !== null) found.bad.untestedInA++;
    }
  }
  const most = (counts: Map<string, number>): Reasons => [...counts].sort((one, other) => other[1] - one[1]);
  return { ...found, onlyA: most(missedB), onlyB: most(missedA) };
}
