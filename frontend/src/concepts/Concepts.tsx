import { Button, Select, useComputedColorScheme } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconDownload } from "@tabler/icons-react";
import { useDeferredValue, useMemo } from "react";
import { go, useRoute } from "../app/route";
import { readSort } from "../app/sort";
import { useBenchmark, useFace, useRun } from "../app/state";
import { hasLift } from "../concept/sentences";
import { holds } from "../data/hooks";
import { among, columnNamed, type Sort, select, type Table } from "../data/table";
import { integer } from "../format";
import { visible } from "../text";
import { Grid } from "../ui/Grid";
import { Heading } from "../ui/Heading";
import { HeatBar } from "../ui/Heat";
import { Failed, Loading } from "../ui/State";
import { ColumnChoice } from "./ColumnChoice";
import { ConceptFilters } from "./ConceptFilters";
import { allColumns, defaultColumns, gridColumns, sharedMeasures, sortKeys } from "./columns";
import "./concepts.css";
import { FILTERS, ofRanked, searchedId, tests, withFirst } from "./filters";
import { heatOf } from "./heat";
import { RegionList } from "./RegionList";
import { download, orderOf, orderWords, widened } from "./table";
import { heldBenchmark, type ShownTable, useConceptTable, useParts } from "./useConceptTable";

export function Concepts() {
  const run = useRun();
  const face = useFace();
  const { shown, error } = useConceptTable(run, useBenchmark());
  if (error) return <Failed error={error} />;
  if (!shown) return <Loading what="the concepts" />;
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
  const asked = heldBenchmark(run, useBenchmark());
  const { params } = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  const wide = useMediaQuery("(min-width: 700px)", true, { getInitialValueInEffect: false });
  const measures = sharedMeasures(run);
  const each = measures.find((spec) => spec.key === params.get("each")) ?? null;
  const { parts, error } = useParts(run, each !== null);
  const names = run.benchmarks.map((benchmark) => benchmark.name);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names are the run's.
  const all = useMemo(() => widened(table, run.regions, each?.key ?? null, parts, names), [table, each, parts, run]);
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
  const { rows, beside, late } = useRows(all, table, sort);
  const hidden = useMemo(
    () => (params.get("kinds") === "all" ? 0 : table.rows - select(table.rows, [ofRanked(table)]).length),
    [params, table],
  );
  const grid = useMemo(
    () => gridColumns({ run, table: all, specs: shown, each, dark, pinned: wide }),
    [run, all, shown, each, dark, wide],
  );
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
        {run.benchmarks.length > 1 && holds(run, "concepts", 0) && (
          <Select
            size="xs"
            w={196}
            aria-label="A column per benchmark"
            placeholder="Per benchmark"
            clearable
            data-testid="per-benchmark"
            data={measures.map((spec) => ({ value: spec.key, label: `${spec.title} per benchmark` }))}
            value={each?.key ?? null}
            onChange={(value) => go({ params: { each: value } })}
          />
        )}
        <ColumnChoice columns={specs} shown={shown.map((spec) => spec.key)} defaults={defaults} />
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={14} />}
          aria-label="Download as CSV"
          data-testid="download-csv"
          onClick={() => download(run, all, rows, shown, each)}
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
        {each && (
          <span className="heat-legend">
            {each.title} per benchmark: <HeatBar {...heatOf(each.key, dark, all)} />
          </span>
        )}
      </p>
      {error && <Failed error={error} />}
      <Grid
        kind="concept"
        columns={grid}
        order={rows}
        sort={sort}
        busy={late || benchmark !== asked || (each !== null && parts.length < names.length && !error)}
        empty={<p>No concept passes all filters.{hidden > 0 && " Unranked ones are hidden."}</p>}
      />
    </>
  );
}

/**
 * The shown rows in order: ordered once per sort, filtered at each keystroke. A concept whose number is searched for
 * comes first; `beside` is its number if it does not pass the filters. `late`: the address asks for others already.
 */
function useRows(all: Table, table: Table, sort: Sort | null) {
  const face = useFace();
  const { regions } = useRun();
  const { params } = useRoute();
  const filterKey = FILTERS.map((name) => params.get(name) ?? "").join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other parameters choose no rows.
  const asked = useMemo(() => params, [filterKey]);
  const filters = useDeferredValue(asked);
  const wanted = useDeferredValue(sort);
  const column = wanted ? columnNamed(all, wanted.key) : undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: further columns of `all` change no order but their own.
  const order = useMemo(() => orderOf(all, wanted, face), [table, column, wanted, face]);
  const shown = useMemo(() => {
    const rows = among(order, tests(filters, table, regions));
    const id = searchedId(filters, table.rows);
    return { rows: withFirst(rows, id), beside: id === null || rows.includes(id) ? null : id };
  }, [order, filters, table, regions]);
  return { ...shown, late: filters !== asked || wanted !== sort };
}
