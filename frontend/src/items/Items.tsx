import { Button, Select } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { writeSort } from "../app/sort";
import { useBenchmark, useNumberParam, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { columnNamed, number, type Table, text } from "../data/table";
import { decimal, integer, NOT_DEFINED, plural, shownOr } from "../format";
import { visible } from "../text";
import { Grid, type GridColumn } from "../ui/Grid";
import { Failed, Loading } from "../ui/State";
import { chosenItems, groups, itemSort, orderedItems, OUTCOMES } from "./choose";
import { SearchField } from "./SearchField";
import { SearchState, searchWords } from "./SearchState";
import { useSearch } from "./useSearch";
import "./items.css";

/** All items, failures first. */
export function Items() {
  const run = useRun();
  const table = useTable(run.key, "items.parquet");
  if (table.error) return <Failed error={table.error} />;
  return table.data ? <ItemTable table={table.data} /> : <Loading what="items" />;
}

function ItemTable({ table }: { table: Table }) {
  const run = useRun();
  const { params } = useRoute();
  const benchmark = useBenchmark();
  const opened = useNumberParam("item");
  const search = useSearch(table);
  const sort = itemSort(params);
  const filters = ["group", "outcome"].map((name) => params.get(name) ?? "").join("|");
  const found = search.found?.rows ?? null;
  const order = useMemo(
    () => orderedItems(table, chosenItems(table, params, benchmark, found), itemSort(params)),
    // The parameters that matter are named one by one: opening an item changes the address, but not the order.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [table, filters, benchmark, found, sort.key, sort.descending],
  );
  const wide = useMediaQuery("(min-width: 700px)", true, { getInitialValueInEffect: false });
  const columns = useMemo(
    () =>
      columnsOf(
        run.benchmarks.map((one) => visible(one.name)),
        table,
        run.redacted,
        wide,
      ),
    [run, table, wide],
  );
  const active = filters !== "|" || search.query !== "" || benchmark !== null;
  const clear = () => go({ params: { group: null, outcome: null, q: null, benchmark: null } });
  return (
    <div className="items-view">
      <h1>Items</h1>
      <p className="lead">
        Every question that was asked, with its score. {sort.key === "score" && !sort.descending && "Failures come first."}
      </p>
      <div className="tools" role="search" aria-label="Choose items">
        <SearchField disabled={run.redacted} />
        <Select
          size="xs"
          w={160}
          aria-label="Outcome"
          placeholder="Any outcome"
          clearable
          data-testid="items-outcome"
          data={[...OUTCOMES]}
          value={OUTCOMES.some((one) => one.value === params.get("outcome")) ? params.get("outcome") : null}
          onChange={(outcome) => go({ params: { outcome } })}
        />
        <GroupPicker table={table} />
        {active && (
          <Button size="xs" variant="subtle" onClick={clear} data-testid="items-clear">
            Clear filters
          </Button>
        )}
      </div>
      <p className="count" role="status" data-testid="items-count">
        <strong>{integer(order.length)}</strong> of {integer(table.rows)} items
        {searchWords(search)}
        {run.redacted && ". Prompts and responses are left out of this explorer, so there is no text to search"}
        {search.stage === "going" ? "…" : "."}
        {!run.redacted && run.cut_items > 0 && <span data-testid="items-cut"> {cutNote(run.cut_items)}</span>}
      </p>
      {(search.stage === "going" || search.stage === "stopped") && <SearchState search={search} />}
      {search.error && <Failed error={search.error} />}
      <Grid
        columns={columns}
        order={order}
        sort={sort}
        onSort={(next) => go({ params: { sort: writeSort(next) } })}
        onOpen={(row) => go({ params: { item: row } })}
        opened={opened}
        rowHeight={wide ? 36 : 54}
        label="Items"
        testId="items-grid"
        empty={
          <>
            {search.stage === "going" ? "Searching …" : "No item fits."}{" "}
            {active && (
              <button type="button" className="link" onClick={clear}>
                Clear the filters
              </button>
            )}
          </>
        }
      />
    </div>
  );
}

/** What a search cannot see. */
function cutNote(items: number): string {
  return `The texts of ${plural(items, "item")} are cut in this explorer: a search sees only what is left of them.`;
}

function GroupPicker({ table }: { table: Table }) {
  const benchmark = useBenchmark();
  const { params } = useRoute();
  const names = useMemo(() => groups(table, benchmark), [table, benchmark]);
  if (names.length < 2) return null;
  return (
    <Select
      size="xs"
      w={200}
      aria-label="Group"
      placeholder={`Any of ${integer(names.length)} groups`}
      clearable
      searchable
      limit={200}
      data-testid="items-group"
      data={names.map((name) => ({ value: name, label: visible(name) }))}
      value={names.includes(params.get("group") ?? "") ? params.get("group") : null}
      onChange={(group) => go({ params: { group } })}
    />
  );
}

/** In a narrow window the prompt stands beside the score, and what one seldom wants is left out. */
function columnsOf(benchmarks: string[], table: Table, redacted: boolean, wide: boolean): GridColumn[] {
  const says = (key: string) => (row: number) => shownOr(text(table, key, row), visible);
  const state = (row: number) => {
    const why = text(table, "excluded", row) ?? text(table, "unscored", row);
    return why === null ? "" : `${text(table, "excluded", row) === null ? "unscored" : "excluded"}: ${visible(why)}`;
  };
  const leftOut = ["unscored", "excluded"].some((key) => hasSome(table, key));
  const prompt: GridColumn | false = !redacted && {
    key: "excerpt",
    title: "Prompt",
    hint: "The first 160 characters of the item’s own text",
    text: says("excerpt"),
    flex: wide ? 1 : undefined,
    width: wide ? 400 : 270,
    show: wide ? undefined : (row) => <span className="two-lines">{says("excerpt")(row)}</span>,
  };
  const all: (GridColumn | false)[] = [
    {
      key: "score",
      title: "Score",
      hint: "In [0, 1]; N/A: unscored or excluded",
      text: (row) => decimal(number(table, "score", row)),
      align: "end",
      width: wide ? 88 : 84,
    },
    !wide && prompt,
    { key: "benchmark", title: "Benchmark", text: (row) => benchmarks[number(table, "benchmark", row) ?? -1] ?? NOT_DEFINED, width: 150 },
    { key: "item_id", title: "Id", text: says("item_id"), width: 110 },
    wide && prompt,
    hasSome(table, "group") && { key: "group", title: "Group", text: says("group"), width: 140 },
    wide && {
      key: "n_tokens",
      title: "Tokens",
      hint: "All tokens that the model read",
      text: (row) => integer(number(table, "n_tokens", row)),
      align: "end",
      width: 92,
      largestFirst: true,
    },
    leftOut && {
      key: "unscored",
      title: "Left out because",
      hint: "Why an item has no score, or counts nowhere",
      text: state,
      sortable: false,
      width: 170,
      flex: redacted ? 1 : undefined,
    },
  ];
  return all.filter((one): one is GridColumn => one !== false);
}

function hasSome(table: Table, key: string): boolean {
  const column = columnNamed(table, key);
  return column?.kind === "text" && column.values.some((one) => one !== null);
}
