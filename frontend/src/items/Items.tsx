import { Button, Select, Switch } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconX } from "@tabler/icons-react";
import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { useBenchmark, useModel, useNumberParam, useRun } from "../app/state";
import { rowsIn } from "../atlas/regions";
import { pageHas, useSlices, useTable } from "../data/hooks";
import { source } from "../data/source";
import { columnNamed, number, numbers, type Table, text } from "../data/table";
import { ANSWER_EXCERPT, EXCERPT } from "../data/types";
import { decimal, integer, NOT_DEFINED, percent, plural, shownOr } from "../format";
import { shorten, visible } from "../text";
import { Grid, type GridColumn } from "../ui/Grid";
import { Heading } from "../ui/Heading";
import { SearchField } from "../ui/SearchField";
import { Failed, Loading } from "../ui/State";
import { chosenItems, FILTERS, groups, itemSort, OUTCOMES, orderedItems } from "./choose";
import { type Search, useSearch } from "./useSearch";
import "./items.css";

/** All items, failures first. */
export function Items() {
  const run = useRun();
  const model = useModel();
  const several = run.models.length > 1;
  const items = useTable(run.key, "items.parquet");
  const scores = useTable(several ? run.key : null, "scores.parquet");
  // The table has responses of the run's own model only; of other models it has scores.
  const table = useMemo(() => {
    if (!items.data || !scores.data || model === null) return items.data;
    const { response, unscored, ...others } = items.data.columns;
    const answers = run.scored.scored && model === run.model ? { response, unscored } : { unscored };
    return {
      ...items.data,
      columns: { ...others, ...answers, score: scores.data.columns[model]! } as Table["columns"],
    };
  }, [items.data, scores.data, model, run]);
  const error = items.error ?? scores.error;
  if (error) return <Failed error={error} />;
  return table && (scores.data || !several) ? <ItemTable table={table} /> : <Loading name="items" />;
}

function ItemTable({ table }: { table: Table }) {
  const run = useRun();
  const { params } = useRoute();
  const benchmark = useBenchmark();
  const search = useSearch(table);
  const sort = itemSort(params);
  const filters = FILTERS.map((name) => params.get(name) ?? "").join("|");
  const all = params.get("repeats") === "all";
  const hits = search.hits?.rows ?? null;
  const slice = useSlice();
  const model = useModel();
  // biome-ignore lint/correctness/useExhaustiveDependencies: other parameters of the address change no order.
  const order = useMemo(
    () =>
      orderedItems(
        table,
        chosenItems(table, { params, benchmark, hits, slice: slice?.members ?? null }),
        itemSort(params),
      ),
    [table, filters, all, benchmark, hits, slice, sort.key, sort.descending],
  );
  const repeatCount = useMemo(() => repeatsOf(table), [table]);
  const wide = useMediaQuery("(min-width: 700px)", true, { getInitialValueInEffect: false });
  const columns = useMemo(
    () =>
      columnsOf(
        run.benchmarks.map((benchmark) => visible(benchmark.name)),
        table,
        run.redacted,
        wide,
        benchmark !== null,
      ),
    [run, table, wide, benchmark],
  );
  const active = filters.replaceAll("|", "") !== "" || search.query !== "" || benchmark !== null;
  const clear = () =>
    go({ params: { ...Object.fromEntries(FILTERS.map((name) => [name, null])), q: null, benchmark: null } });
  return (
    <div className="items-view">
      <Heading within="of">Items</Heading>
      <p className="lead">
        Every item, with {run.models.length > 1 ? "the score of " : "its score"}
        {run.models.length > 1 && <bdi>{visible(run.models[model!]!)}</bdi>}.{" "}
        {sort.key === "score" && !sort.descending && "Failures come first."}
      </p>
      <div className="tools" role="search" aria-label="Choose items">
        <SearchField
          disabled={run.redacted}
          label="Search prompts, responses and answers"
          placeholder={run.redacted ? "No texts to search" : "Search prompts, responses, answers, ids"}
          testId="items-search"
        />
        <Select
          size="xs"
          w={160}
          aria-label="Outcome"
          placeholder="Any outcome"
          clearable
          data-testid="items-outcome"
          data={[...OUTCOMES]}
          value={OUTCOMES.some((outcome) => outcome.value === params.get("outcome")) ? params.get("outcome") : null}
          onChange={(outcome) => go({ params: { outcome } })}
        />
        <GroupPicker table={table} />
        {repeatCount > 0 && (
          <Switch
            size="xs"
            label="Show all repeats"
            checked={all}
            data-testid="items-repeats"
            onChange={(event) => go({ params: { repeats: event.currentTarget.checked ? "all" : null } })}
          />
        )}
        <FilterChips />
        {active && (
          <Button size="xs" variant="subtle" onClick={clear} data-testid="items-clear">
            Clear filters
          </Button>
        )}
      </div>
      <p className="count" role="status" data-testid="items-count">
        <strong>{integer(order.length)}</strong> of {integer(table.rows)} items
        {searchWords(search)}
        {run.redacted && ". This page leaves out prompts and responses, so there is no text to search"}
        {search.going ? "…" : "."}
        {repeatCount > 0 &&
          !all &&
          !params.has("cluster") &&
          ` Repeated items are shown once, with their count (${plural(repeatCount, "repeat")} in all).`}
        {slice && (
          <>
            {" "}
            Of <bdi>{visible(slice.name)}</bdi>.
          </>
        )}
        {source.mode === "file" &&
          ` ${integer(order.filter((row) => pageHas(run, "item", row)).length)} open in this file.`}
        {!run.redacted && run.cut_items > 0 && <span data-testid="items-cut"> {cutNote(run.cut_items)}</span>}
      </p>
      {search.error && <Failed error={search.error} />}
      <Grid
        kind="item"
        columns={columns}
        order={order}
        sort={sort}
        busy={search.going || slice === undefined}
        rowHeight={wide ? 36 : 54}
        empty={
          <>
            {search.going ? "Searching …" : "No item matches."}{" "}
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

/** The slice or region in the address; null: none, or it does not exist; undefined: still loading. */
function useSlice(): { name: string; members: ArrayLike<number> } | null | undefined {
  const run = useRun();
  const [slice, region] = [useNumberParam("slice"), useNumberParam("region")];
  const slices = useSlices(slice === null ? null : run.key);
  const regionEntry = region === null ? undefined : run.regions[region];
  const located = useTable(regionEntry ? run.key : null, "item_regions.parquet");
  const inside = useMemo(
    () =>
      regionEntry &&
      located.data && { name: regionEntry.name, members: rowsIn(run.regions, regionEntry.region, located.data) },
    [regionEntry, located.data, run],
  );
  if (slice !== null ? !slices.data && !slices.error : regionEntry && !located.data && !located.error) return undefined;
  return (slice === null ? inside : slices.data?.get(slice)) ?? null;
}

/** Chips that remove filters set by other views. */
function FilterChips() {
  const { params } = useRoute();
  const { regions } = useRun();
  const slice = useNumberParam("slice");
  const region = useNumberParam("region");
  const cluster = useNumberParam("cluster");
  const chip = (text: string, param: string) => (
    <button
      type="button"
      className="chip"
      aria-label={`Remove: ${text}`}
      onClick={() => go({ params: { [param]: null } })}
    >
      {text} <IconX size={12} aria-hidden="true" />
    </button>
  );
  return (
    <>
      {params.has("slice") && chip(`slice ${slice ?? "?"}`, "slice")}
      {params.has("region") && chip(`region ${shorten(visible(regions[region ?? -1]?.name ?? "?"), 40)}`, "region")}
      {params.has("cluster") && chip(`items of one cluster (${cluster ?? "?"})`, "cluster")}
    </>
  );
}

/** Say what the shown items contain, and which search is running. */
function searchWords({ query, hits, going }: Search & { going: boolean }): string {
  const parts = [hits ? ` contain “${visible(hits.query)}”` : ""];
  if (hits && hits.total > hits.rows.length)
    parts.push(`the search found ${integer(hits.total)}; these are the first ${integer(hits.rows.length)}`);
  if (going && query) parts.push(`searching for “${visible(query)}”`);
  return parts.join("; ");
}

/** Note that a search covers shortened texts only. */
function cutNote(items: number): string {
  return `This export shortens the texts of ${plural(items, "item")}, and a search covers only what it keeps.`;
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

/** Columns of the table; a narrow window has fewer, with the prompt next to the score. */
function columnsOf(
  benchmarks: string[],
  table: Table,
  redacted: boolean,
  wide: boolean,
  within: boolean,
): GridColumn[] {
  const textOf = (key: string) => (row: number) => shownOr(text(table, key, row), visible);
  const whyLeftOut = (row: number) => {
    const why = text(table, "excluded", row) ?? text(table, "unscored", row);
    return why === null ? "" : `${text(table, "excluded", row) === null ? "unscored" : "excluded"}: ${visible(why)}`;
  };
  const repeated = numbers(table, "repeats").some((value) => value > 1);
  const leftOut = ["unscored", "excluded"].some((key) => hasSome(table, key));
  const prompt: GridColumn | false = !redacted && {
    key: "excerpt",
    title: "Prompt",
    hint: `Up to ${EXCERPT} characters of the item’s own text, from where it differs from others of its benchmark`,
    text: textOf("excerpt"),
    flex: wide,
    width: wide ? 220 : 270,
    show: wide ? undefined : (row) => <span className="two-lines">{textOf("excerpt")(row)}</span>,
  };
  const all: (GridColumn | false)[] = [
    {
      key: "score",
      title: "Score",
      hint: "In [0, 1]; N/A: unscored or excluded",
      text: (row) => decimal(number(table, "score", row)),
      numeric: true,
      width: wide ? 104 : 90,
    },
    !wide && prompt,
    !within && {
      key: "benchmark",
      title: "Benchmark",
      text: (row) => benchmarks[number(table, "benchmark", row) ?? -1] ?? NOT_DEFINED,
      width: 140,
    },
    { key: "item_id", title: "Id", text: textOf("item_id"), width: 90 },
    wide && prompt,
    hasSome(table, "response") && {
      key: "response",
      title: "Response",
      hint: `What the model answered; the first ${ANSWER_EXCERPT} characters`,
      text: textOf("response"),
      width: 130,
    },
    hasSome(table, "answer") && {
      key: "answer",
      title: "Expected",
      hint: `The expected answer; the first ${ANSWER_EXCERPT} characters`,
      text: textOf("answer"),
      width: 120,
    },
    wide &&
      hasSome(table, "choices") && {
        key: "choices",
        title: "Choices",
        hint: `The options; the first ${ANSWER_EXCERPT} characters`,
        text: textOf("choices"),
        width: 140,
        sortable: false,
      },
    repeated && {
      key: "repeats",
      title: "Repeats",
      hint: "Items that ask the same, word for word or nearly; they count once in every test",
      text: (row) => repeatsText(number(table, "repeats", row)),
      show: (row) => <Repeats table={table} row={row} />,
      numeric: true,
      width: 104,
      largestFirst: true,
    },
    columnNamed(table, "models_mean") !== undefined && {
      key: "models_mean",
      title: "All models",
      hint: "Mean score of all models on the item",
      text: (row) => percent(number(table, "models_mean", row)),
      numeric: true,
      width: 110,
    },
    hasSome(table, "group") && { key: "group", title: "Group", text: textOf("group"), width: 140 },
    wide && {
      key: "n_span_tokens",
      title: "Tokens",
      hint: "Length: tokens of the item that the run counts for its concepts",
      text: (row) => integer(number(table, "n_span_tokens", row)),
      numeric: true,
      width: 96,
      largestFirst: true,
    },
    leftOut && {
      key: "unscored",
      title: "Left out because",
      hint: "Why an item has no score, or is excluded",
      text: whyLeftOut,
      sortable: false,
      width: 170,
      flex: redacted,
    },
  ];
  return all.filter((entry): entry is GridColumn => entry !== false);
}

/** Number of items that repeat an earlier one. */
function repeatsOf(table: Table): number {
  const [clusters, repeats] = [numbers(table, "cluster"), numbers(table, "repeats")];
  const repeated = clusters.filter((_, row) => repeats[row]! > 1);
  return repeated.length - new Set(repeated).size;
}

const repeatsText = (count: number | null) => (count !== null && count > 1 ? `${integer(count)} items` : "");

/** A button that shows all repeats of an item. */
function Repeats({ table, row }: { table: Table; row: number }) {
  const count = number(table, "repeats", row);
  if (count === null || count < 2) return null;
  return (
    <button
      type="button"
      className="link"
      tabIndex={-1}
      onClick={() => go({ params: { cluster: number(table, "cluster", row) } })}
    >
      {repeatsText(count)}
    </button>
  );
}

function hasSome(table: Table, key: string): boolean {
  const column = columnNamed(table, key);
  return column?.kind === "text" && column.values.some((value) => value !== null);
}
