/** What a quantity is, in the words that every view uses. */
import type { RunInfo } from "./types";

/** The gap in short. */
export const GAP = "weighted mean of the score less that of comparable items";

/** The hint of a column, which for the gap names its full name; empty: the run has no such column. */
export const definitionOf = (run: Pick<RunInfo, "columns">, key: string): string =>
  run.columns.find((spec) => spec.key === key)?.hint ?? "";
