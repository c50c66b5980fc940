import { useMemo } from "react";
import { useBenchmark, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { numbers, type Table } from "../data/table";
import { publicShares, tallies } from "./regions";

/** The run's items on the atlas, those of the selected benchmark counted, beside the public benchmarks. */
export function useAtlas(outcome: ArrayLike<number> | null) {
  const { key, has, regions } = useRun();
  const wanted = has.regions ? key : null;
  const [places, counts, items] = [
    useTable(wanted, "item_regions.parquet"),
    useTable(wanted, "region_counts.parquet"),
    useTable(wanted, "items.parquet"),
  ];
  const benchmark = useBenchmark();
  const known = useMemo(() => counts.data && publicShares(regions, counts.data), [regions, counts.data]);
  const counted = useMemo(() => {
    if (!places.data || !items.data) return null;
    const kept = keptOf(items.data, benchmark);
    return { places: places.data, items: items.data, kept, tally: tallies(regions, places.data, kept, outcome) };
  }, [regions, places.data, items.data, benchmark, outcome]);
  const error = places.error ?? counts.error ?? items.error;
  return { atlas: known && counted ? { ...counted, known } : null, error };
}

export type Atlas = NonNullable<ReturnType<typeof useAtlas>["atlas"]>;

function keptOf(items: Table, benchmark: number | null): (row: number) => boolean {
  const own = numbers(items, "benchmark");
  return (row) => benchmark === null || own[row] === benchmark;
}
