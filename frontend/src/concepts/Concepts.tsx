import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useCallback, useDeferredValue, useEffect, useMemo } from "react";
import { address, go, useRoute } from "../app/route";
import { readSort, writeSort } from "../app/sort";
import { useBenchmark, useFace, useNumberParam, useRun } from "../app/state";
import { useThemes } from "../data/hooks";
import { among, columnNamed, ranks, type Sort, select, type Table } from "../data/table";
import type { ColumnSpec, ThemeFile } from "../data/types";
import { visible } from "../text";
import { Grid } from "../ui/Grid";
import { Heading } from "../ui/Heading";
import { Failed, Loading } from "../ui/State";
import { Chips, Count } from "./Chips";
import { allColumns, defaultColumns, gridColumns, sharedMeasures, sortKeys } from "./columns";
import "./concepts.css";
import { download } from "./file";
import { FILTERS, ofKinds, searchedId, shownKinds, tests, withFirst } from "./filters";
import { Groups } from "./Groups";
import { heatOf } from "./heat";
import { ThemeTree } from "./ThemeTree";
import { Toolbar } from "./Toolbar";
import { orderOf, orderWords, widened } from "./table";
import { type ShownTable, useConceptTable, useParts } from "./useConceptTable";

export function Concepts() {
  const run = useRun();
  const { shown, error } = useConceptTable(run, useBenchmark());
  const themes = useThemes(run);
  if (error) return <Failed error={error} />;
  if (!shown || (run.has.themes && !themes.data && !themes.error)) return <Loading what="the concepts" />;
  return <Shown {...shown} themes={themes.data} failed={themes.error} />;
}

function Shown({ table, benchmark, themes, failed }: ShownTable & { themes: ThemeFile | null; failed: Error | null }) {
  const run = useRun();
  const groups = useRoute().params.get("groups") === "1";
  const face = useFace();
  return (
    <>
      <Heading>Themes and concepts</Heading>
      <p className="lead">{lead(face, benchmark === null ? null : run.benchmarks[benchmark]!.name)}</p>
      {failed && <Failed error={failed} />}
      {themes && !groups && <ThemeTree file={themes} table={table} benchmark={benchmark} />}
      {!run.has.themes && (
        <p className="soft">
          This run has no themes: <code>cgaps themes</code> groups the concepts of a dictionary.
        </p>
      )}
      <SegmentedControl
        className="as-groups"
        size="xs"
        aria-label="Concepts or groups"
        data-testid="as-groups"
        value={groups ? "groups" : "concepts"}
        data={[
          { value: "concepts", label: "Concepts" },
          { value: "groups", label: "Groups by finding" },
        ]}
        onChange={(chosen) => go({ params: { groups: chosen === "groups" ? 1 : null } })}
      />
      {groups ? <Groups table={table} /> : <TableOfConcepts table={table} benchmark={benchmark} themes={themes} />}
    </>
  );
}

function lead(face: "model" | "benchmark", benchmark: string | null): string {
  const where = benchmark === null ? "the whole suite" : visible(benchmark);
  return face === "model"
    ? `Which concepts the model does worse or better on, in ${where}.`
    : `Which concepts ${where} exercises, and which it leaves out.`;
}

function TableOfConcepts({ table, benchmark, themes }: ShownTable & { themes: ThemeFile | null }) {
  const run = useRun();
  const face = useFace();
  const { params } = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  const wide = useMediaQuery("(min-width: 700px)", true, { getInitialValueInEffect: false });
  const each = sharedMeasures(run).find((spec) => spec.key === params.get("each")) ?? null;
  const { parts, error } = useParts(run, each !== null);
  const all = useMemo(
    () =>
      widened(
        table,
        themes,
        each?.key ?? null,
        parts,
        run.benchmarks.map((benchmark) => benchmark.name),
      ),
    [table, themes, each, parts, run],
  );
  const { specs, shown, columns } = useColumns(all, benchmark);
  const sorting = params.get("sort");
  const sort = useMemo(() => readSort(sorting, sortKeys(run)), [run, sorting]);
  const { rows, beside } = useRows(all, table, sort);
  const kinds = params.get("kinds");
  const hidden = useMemo(() => {
    const test = ofKinds(shownKinds(kinds), false, table);
    return test ? table.rows - select(table.rows, [test]).length : 0;
  }, [kinds, table]);
  const grid = useMemo(
    () => gridColumns({ run, table: all, specs: shown, each, dark, pinned: wide }),
    [run, all, shown, each, dark, wide],
  );
  const onSort = useCallback((next: Sort | null) => go({ params: { sort: writeSort(next) } }, true), []);
  const onOpen = useCallback((row: number) => go({ params: { concept: row, item: null } }), []);
  // A column may be sorted by and not be shown.
  const title = sort && [...grid, ...specs].find((column) => column.key === sort.key)?.title;
  const view = {
    run,
    table: all,
    rows,
    specs: shown,
    each,
    address: address({ run: run.key, view: "concepts", rest: "", unknown: null, params }, {}),
  };
  return (
    <>
      <Toolbar
        run={run}
        columns={specs}
        shown={columns}
        defaults={defaultColumns(run, face, benchmark)}
        onDownload={(kind) => download(kind, view)}
      />
      <div className="under-tools">
        <Count
          shown={rows.length}
          all={table.rows}
          hidden={hidden}
          order={
            title ? `by ${visible(title)}, ${sort.descending ? "descending" : "ascending"}` : orderWords(face, table)
          }
          beside={beside}
        />
        <Chips themes={themes} />
        {each && <HeatLegend spec={each} table={all} dark={dark} />}
      </div>
      {error && <Failed error={error} />}
      <Grid
        columns={grid}
        order={rows}
        sort={sort}
        onSort={onSort}
        onOpen={onOpen}
        opened={useNumberParam("concept")}
        label="Concepts"
        testId="concept-grid"
        empty={
          <p>
            No concept passes all of these filters.
            {hidden > 0 && " Concepts of other kinds and never active ones are hidden: “Filters” can show them."}
          </p>
        }
      />
    </>
  );
}

/** Columns that can be shown, and those that are. */
function useColumns(
  table: Table,
  benchmark: number | null,
): { specs: ColumnSpec[]; shown: ColumnSpec[]; columns: string[] } {
  const run = useRun();
  const face = useFace();
  const chosen = useRoute().params.get("cols");
  return useMemo(() => {
    const specs = allColumns(run, benchmark).filter((spec) => columnNamed(table, spec.key));
    const wanted = new Set(chosen === null ? defaultColumns(run, face, benchmark) : chosen.split(","));
    const shown = specs.filter((spec) => wanted.has(spec.key));
    return { specs, shown, columns: shown.map((spec) => spec.key) };
  }, [run, face, benchmark, chosen, table]);
}

/**
 * The shown rows in order: ordered once per sort, filtered at each keystroke. A concept whose number is searched for
 * comes first; `beside` is its number if it does not pass the filters.
 */
function useRows(all: Table, table: Table, sort: Sort | null): { rows: Uint32Array; beside: number | null } {
  const face = useFace();
  const { params } = useRoute();
  const filterKey = FILTERS.map((name) => params.get(name) ?? "").join("\n");
  // biome-ignore lint/correctness/useExhaustiveDependencies: other parameters choose no rows.
  const filters = useDeferredValue(useMemo(() => params, [filterKey]));
  const wanted = useDeferredValue(sort);
  const column = wanted ? columnNamed(all, wanted.key) : undefined;
  // Labels take longest to order; the page does it once, while it has nothing else to do.
  const label = table.columns.label;
  useEffect(() => {
    if (label?.kind !== "text") return;
    const waiting = setTimeout(() => ranks(label.values), 1500);
    return () => clearTimeout(waiting);
  }, [label]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: further columns of `all` change no order but their own.
  const order = useMemo(() => orderOf(all, wanted, face), [table, column, wanted, face]);
  return useMemo(() => {
    const rows = among(order, tests(filters, table));
    const id = searchedId(filters, table.rows);
    return { rows: withFirst(rows, id), beside: id === null || rows.includes(id) ? null : id };
  }, [order, filters, table]);
}

/** What the colours of the columns per benchmark mean. */
function HeatLegend({ spec, table, dark }: { spec: ColumnSpec; table: Table; dark: boolean }) {
  const { stops, low, high } = heatOf(spec.key, dark, table);
  return (
    <span className="heat-legend">
      {spec.title} per benchmark: {low}{" "}
      <span
        className="heat-bar"
        aria-hidden="true"
        style={{ backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})` }}
      />{" "}
      {high}
    </span>
  );
}
