/** Which items are shown, from the address. */
import { readSort } from "../app/sort";
import { columnNamed, numbers, select, type Sort, sorted, type Table, texts } from "../data/table";

export const OUTCOMES = [
  { value: "wrong", label: "Score below ½" },
  { value: "right", label: "Score ½ or more" },
  { value: "unscored", label: "Unscored" },
  { value: "excluded", label: "Excluded" },
] as const;

/** Rows of the items that the address asks for; `found`: rows that a search found, null: none was made. */
export function chosenItems(table: Table, params: URLSearchParams, benchmark: number | null, found: Uint32Array | null): Uint32Array {
  const tests: ((row: number) => boolean)[] = [];
  const place = numbers(table, "benchmark");
  const score = numbers(table, "score");
  const excluded = texts(table, "excluded");
  if (benchmark !== null) tests.push((row) => place[row] === benchmark);
  const group = params.get("group");
  if (group) {
    const groups = texts(table, "group");
    tests.push((row) => groups[row] === group);
  }
  const outcome = params.get("outcome");
  if (outcome === "wrong") tests.push((row) => excluded[row] === null && score[row]! < 0.5);
  if (outcome === "right") tests.push((row) => excluded[row] === null && score[row]! >= 0.5);
  if (outcome === "unscored") tests.push((row) => excluded[row] === null && Number.isNaN(score[row]!));
  if (outcome === "excluded") tests.push((row) => excluded[row] !== null);
  if (found) {
    const hit = new Uint8Array(table.rows);
    for (const row of found) hit[row] = 1;
    tests.push((row) => hit[row] === 1);
  }
  return select(table.rows, tests);
}

/** Columns by which items can be sorted. */
export const SORTS = ["score", "benchmark", "item_id", "excerpt", "group", "n_tokens"];
const FAILURES_FIRST: Sort = { key: "score", descending: false };

/** Failures first unless something else is asked. */
export const itemSort = (params: URLSearchParams): Sort => readSort(params.get("sort"), SORTS) ?? FAILURES_FIRST;

export function orderedItems(table: Table, rows: Uint32Array, sort: Sort): Uint32Array {
  return sorted(table, rows, columnNamed(table, sort.key) ? sort : FAILURES_FIRST);
}

/** Sub-topics that occur, of one benchmark or of all, in alphabetical order. */
export function groups(table: Table, benchmark: number | null): string[] {
  const place = numbers(table, "benchmark");
  const inside = (row: number) => benchmark === null || place[row] === benchmark;
  const all = texts(table, "group").filter((one, row): one is string => one !== null && inside(row));
  return [...new Set(all)].sort((a, b) => a.localeCompare(b));
}
