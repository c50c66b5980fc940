import { useMemo } from "react";
import { useBenchmark, useRun } from "../app/state";
import { useCoverage, useTable } from "../data/hooks";
import { numbers, type Table } from "../data/table";
import { tallies } from "./regions";

/** The run's items on the atlas, those of the selected benchmark counted, beside the public benchmarks. */
export function useAtlas() {
  const run = useRun();
  const { key, regions } = run;
  const [places, items] = [useTable(key, "item_regions.parquet"), useTable(key, "items.parquet")];
  const benchmark = useBenchmark();
  const coverage = useCoverage(run, benchmark);
  const counted = useMemo(() => {
    if (!places.data || !items.data) return null;
    const kept = keptOf(items.data, benchmark);
    return { places: places.data, items: items.data, kept, tally: tallies(regions, places.data, kept) };
  }, [regions, places.data, items.data, benchmark]);
  const error = places.error ?? items.error ?? coverage.error;
  const { data } = coverage;
  return { atlas: data && counted ? { ...counted, benchmarks: data.public, shares: data.regions } : null, error };
}

export type Atlas = NonNullable<ReturnType<typeof useAtlas>["atlas"]>;

function keptOf(items: Table, benchmark: number | null): (row: number) => boolean {
  const own = numbers(items, "benchmark");
  return (row) => benchmark === null || own[row] === benchmark;
}
