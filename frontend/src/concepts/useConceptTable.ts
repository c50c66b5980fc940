import { useMemo, useState } from "react";
import { pageHas, useTable } from "../data/hooks";
import { type Column, everyRow, type Table } from "../data/table";
import type { RunInfo } from "../data/types";

/** A table, and the benchmark whose values it has; null: the whole suite's. */
export interface ShownTable {
  table: Table;
  benchmark: number | null;
}

/** A benchmark with a table of its concepts: a file may leave these out. */
export const availableBenchmark = (run: RunInfo, benchmark: number | null): number | null =>
  benchmark !== null && pageHas(run, "concepts", benchmark) ? benchmark : null;

/**
 * A run's concepts: `concepts.parquet`, with a benchmark's values where it has its own; null until it is read. While
 * another benchmark is being read, `shown` remains the previous table.
 */
export function useConceptTable(run: RunInfo, asked: number | null): { shown: ShownTable | null; error: Error | null } {
  const benchmark = availableBenchmark(run, asked);
  const suite = useTable(run.key, "concepts.parquet");
  const part = useTable(benchmark === null ? null : run.key, `concepts/${benchmark ?? 0}.parquet`);
  const latest = useMemo(() => {
    if (!suite.data || (benchmark !== null && !part.data)) return null;
    const concept: Column = { kind: "number", values: Float64Array.from(everyRow(suite.data.rows)) };
    const columns: Record<string, Column> = { ...suite.data.columns, ...part.data?.columns, concept };
    return { table: { rows: suite.data.rows, columns }, benchmark };
  }, [suite.data, part.data, benchmark]);
  const [last, setLast] = useState(latest);
  if (latest && latest !== last) setLast(latest);
  return { shown: latest ?? last, error: suite.error ?? part.error };
}
