import { useMemo } from "react";
import { useTable } from "../data/hooks";
import { type Column, everyRow, type Table } from "../data/table";
import type { RunInfo } from "../data/types";

/** The shown table of a run: `concepts.parquet`, or a benchmark's values where it has its own. Null: still read. */
export function useConceptTable(run: RunInfo, benchmark: number | null): { table: Table | null; error: Error | null } {
  const suite = useTable(run.key, "concepts.parquet");
  const part = useTable(benchmark === null ? null : run.key, `concepts/${benchmark ?? 0}.parquet`);
  const table = useMemo(() => {
    if (!suite.data || (benchmark !== null && !part.data)) return null;
    const concept: Column = { kind: "number", values: Float64Array.from(everyRow(suite.data.rows)) };
    return { rows: suite.data.rows, columns: { ...suite.data.columns, ...part.data?.columns, concept } };
  }, [suite.data, part.data, benchmark]);
  return { table, error: suite.error ?? part.error };
}
