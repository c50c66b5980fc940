import { Button } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconDownload } from "@tabler/icons-react";
import { useDeferredValue, useMemo } from "react";
import { useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { hasLift } from "../concept/sentences";
import { among, columnNamed, readSort, type Sort, select, type Table } from "../data/table";
import { integer } from "../format";
import { visible } from "../text";
import { Grid } from "../ui/Grid";
import { Heading } from "../ui/Heading";
import { Failed, Loading } from "../ui/State";
import { ColumnChoice, ConceptFilters } from "./ConceptTools";
import { allColumns, defaultColumns, gridColumns, sortKeys } from "./columns";
import "./concepts.css";
import { RegionList } from "./RegionList";
import {
  download,
  FILTERS,
  ofRanked,
  orderOf,
  orderWords,
  searchedId,
  tests,
  withFirst,
  withRegionNames,
} from "./table";
import { availableBenchmark, type ShownTable, useConceptTable } from "./useConceptTable";

export function Concepts() {
  const run = useRun();
  const face = useFace();
  const { shown, error } = useConceptTable(run, useBenchmark());
  if (error) return <Failed error={error} />;
  if (!shown) return <Loading name="the concepts" />;
  const where = shown.benchmark === null ? "the whole suite" : visible(run.benchmarks[shown.benchmark]!.name);
  return (
    <>
      <Heading shown={shown.benchmark}>Concepts</Heading>
      <p className="lead">
        {face === "model"
          ? `Concepts on which the model does worse or better, in ${where}.`
          : `Concepts that ${where} tests, and those it misses.`}
      </p>
      {run.regions.length > 0 && <RegionList {...shown} />}
      <TableOfConcepts {...shown} />
    </>
  );
}

function TableOfConcepts({ table, benchmark }: ShownTable) {
  const run = useRun();
  const face = useFace();
  const asked = availableBenchmark(run, useBenchmark());
  const { params } = useRoute();
  const wide = useMediaQuery("(min-width: 700px)", true, { getInitialValueInEffect: false });
  const all = useMemo(() => withRegionNames(table, run.regions), [table, run]);
  const chosen = params.get("cols");
  const defaults = useMemo(() => defaultColumns(run, face, benchmark), [run, face, benchmark]);
  const specs = useMemo(
    () => allColumns(run, benchmark).filter((spec) => columnNamed(all, spec.key)),
    [run, benchmark, all],
  );
  const shown = useMemo(() => {
    const wanted = new Set(chosen === null ? defaults : chosen.split(","));
    return specs.filter((spec) => wanted.has(spec.key));
  }, [specs, chosen, defaults]);
  const sorting = params.get("sort");
  const sort = useMemo(() => readSort(sorting, sortKeys(run)), [run, sorting]);
  const { rows, beside, late } = useRows(all, sort);
  const hidden = useMemo(
    () => (params.get("kinds") === "all" ? 0 : table.rows - select(table.rows, [ofRanked(table)]).length),
    [params, table],
  );
  const grid = useMemo(() => gridColumns(run, all, shown, wide), [run, all, shown, wide]);
  // A column may be sorted by and not be shown.
  const title = sort && [...grid, ...specs].find((column) => column.key === sort.key)?.title;
  const order = title
    ? `by ${visible(title)}, ${sort.descending ? "descending" : "ascending"}`
    : orderWords(face, hasLift(run));
  return (
    <>
      <div className="tools" role="search" aria-label="Choose concepts">
        <ConceptFilters />
        <span className="spring" />
        <ColumnChoice columns={specs} shown={shown.map((spec) => spec.key)} defaults={defaults} />
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={14} />}
          aria-label="Download as CSV"
          data-testid="download-csv"
          onClick={() => download(run, all, rows, shown)}
        >
          CSV
        </Button>
      </div>
      <p className="count" aria-live="polite" data-testid="count">
        <b>{integer(rows.length)}</b> of {integer(table.rows)} concepts
        <span className="soft">
          , {order}
          {hidden > 0 && ` (${integer(hidden)} unranked hidden)`}
          {beside !== null && `; concept ${beside}, found by its number, is shown although the filters exclude it`}
        </span>
      </p>
      <Grid
        kind="concept"
        columns={grid}
        order={rows}
        sort={sort}
        busy={late || benchmark !== asked}
        empty={<p>No concept passes all filters.{hidden > 0 && " Unranked ones are hidden."}</p>}
      />
    </>
  );
}

/**
 * The shown rows in order: ordered once per sort, filtered at each keystroke. A concept whose number is searched for
 * comes first; `beside` is its number if it does not pass the filters. `late`: the address asks for others already.
 */
function useRows(table: Table, sort: Sort | null) {
  const face = useFace();
  const { regions } = useRun();
  const { params } = useRoute();
  const filterKey = FILTERS.map((name) => params.get(name) ?? "").join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other parameters choose no rows.
  const asked = useMemo(() => params, [filterKey]);
  const filters = useDeferredValue(asked);
  const wanted = useDeferredValue(sort);
  const order = useMemo(() => orderOf(table, wanted, face), [table, wanted, face]);
  const shown = useMemo(() => {
    const rows = among(order, tests(filters, table, regions));
    const id = searchedId(filters, table.rows);
    return { rows: withFirst(rows, id), beside: id === null || rows.includes(id) ? null : id };
  }, [order, filters, table, regions]);
  return { ...shown, late: filters !== asked || wanted !== sort };
}
