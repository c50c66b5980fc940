import { useMemo } from "react";
import { useBenchmark, useRun } from "../app/state";
import { useCoverage, useTable } from "../data/hooks";
import { numbers } from "../data/table";
import { countItems } from "./regions";

/** The run's items on the atlas, those of the selected benchmark counted, beside the public benchmarks. */
export function useAtlas() {
  const run = useRun();
  const { key, regions } = run;
  const [locations, items] = [useTable(key, "item_regions.parquet"), useTable(key, "items.parquet")];
  const benchmark = useBenchmark();
  const coverage = useCoverage(run, benchmark);
  const counted = useMemo(() => {
    if (!locations.data || !items.data) return null;
    const benchmarkOf = numbers(items.data, "benchmark");
    const inBenchmark = (row: number) => benchmark === null || benchmarkOf[row] === benchmark;
    return {
      locations: locations.data,
      items: items.data,
      inBenchmark,
      tally: countItems(regions, locations.data, inBenchmark),
    };
  }, [regions, locations.data, items.data, benchmark]);
  const error = locations.error ?? items.error ?? coverage.error;
  const { data } = coverage;
  return { atlas: data && counted ? { ...counted, benchmarks: data.public, shares: data.regions } : null, error };
}

export type AtlasData = NonNullable<ReturnType<typeof useAtlas>["atlas"]>;
