/** Which items are shown, and in which order. */
import { columnNamed, numbers, readSort, type Sort, select, sorted, type Table, texts } from "../data/table";
import { wholeNumber } from "../text";

export const OUTCOMES = [
  { value: "wrong", label: "Score below ½" },
  { value: "right", label: "Score ½ or more" },
  { value: "unscored", label: "Unscored" },
  { value: "excluded", label: "Excluded" },
] as const;
/** Filters in the address, apart from the benchmark and the search. */
export const FILTERS = ["group", "outcome", "cluster", "slice", "region"] as const;

export interface Choice {
  params: URLSearchParams;
  benchmark: number | null;
  /** Rows that match the search; null: no search. */
  hits: Uint32Array | null;
  /** Rows of the chosen slice or region; null: none is chosen. */
  slice: ArrayLike<number> | null;
}

/**
 * Rows of the items that the address asks for. Of repeated items only the first is listed, unless all are asked for.
 */
export function chosenItems(table: Table, choice: Choice): Uint32Array {
  const rows = select(table.rows, tests(table, choice));
  const { params } = choice;
  return params.get("repeats") === "all" || params.has("cluster") ? rows : firsts(table, rows);
}

function tests(table: Table, { params, benchmark, hits, slice }: Choice): ((row: number) => boolean)[] {
  const tests: ((row: number) => boolean)[] = [];
  const benchmarks = numbers(table, "benchmark");
  const score = numbers(table, "score");
  const excluded = texts(table, "excluded");
  if (benchmark !== null) tests.push((row) => benchmarks[row] === benchmark);
  const group = params.get("group");
  if (group) {
    const groups = texts(table, "group");
    tests.push((row) => groups[row] === group);
  }
  const cluster = wholeNumber(params.get("cluster"));
  if (cluster !== null) {
    const clusters = numbers(table, "cluster");
    tests.push((row) => clusters[row] === cluster);
  }
  const outcome = params.get("outcome");
  if (outcome === "wrong") tests.push((row) => excluded[row] === null && score[row]! < 0.5);
  if (outcome === "right") tests.push((row) => excluded[row] === null && score[row]! >= 0.5);
  if (outcome === "unscored") tests.push((row) => excluded[row] === null && Number.isNaN(score[row]!));
  if (outcome === "excluded") tests.push((row) => excluded[row] !== null);
  for (const some of [hits, slice]) if (some) tests.push(isAmong(table.rows, some));
  return tests;
}

function isAmong(count: number, rows: ArrayLike<number>): (row: number) => boolean {
  const hit = new Uint8Array(count);
  for (let i = 0; i < rows.length; i++) hit[rows[i]!] = 1;
  return (row) => hit[row] === 1;
}

/** The first row of each cluster of repeats. */
function firsts(table: Table, rows: Uint32Array): Uint32Array {
  const [clusters, repeats] = [numbers(table, "cluster"), numbers(table, "repeats")];
  const seen = new Set<number>();
  return rows.filter((row) => {
    const cluster = clusters[row]!;
    if (!(repeats[row]! > 1)) return true;
    const first = !seen.has(cluster);
    seen.add(cluster);
    return first;
  });
}

/** Columns by which items can be sorted. */
export const SORTS = [
  "score",
  "benchmark",
  "item_id",
  "excerpt",
  "response",
  "answer",
  "group",
  "n_tokens",
  "n_span_tokens",
  "repeats",
  "cluster",
  "models_mean",
];
const FAILURES_FIRST: Sort = { key: "score", descending: false };

/** The order in the address; by default failures first. */
export const itemSort = (params: URLSearchParams): Sort => readSort(params.get("sort"), SORTS) ?? FAILURES_FIRST;

export function orderedItems(table: Table, rows: Uint32Array, sort: Sort): Uint32Array {
  return sorted(table, rows, columnNamed(table, sort.key) ? sort : FAILURES_FIRST);
}

/** Groups of a benchmark, or of all, in alphabetical order. */
export function groups(table: Table, benchmark: number | null): string[] {
  const benchmarks = numbers(table, "benchmark");
  const inside = (row: number) => benchmark === null || benchmarks[row] === benchmark;
  const all = texts(table, "group").filter((group, row): group is string => group !== null && inside(row));
  return [...new Set(all)].sort((a, b) => a.localeCompare(b));
}
