/** Which concepts are shown, as the address says it. */
import { liesIn } from "../atlas/regions";
import { type Column, numbers, type Table, type Test, texts } from "../data/table";
import type { Region } from "../data/types";

export const PERFORMANCE = ["failure", "success", "negligible", "typical", "insufficient", "untested"];
export const COVERAGE = ["missing", "under", "typical", "over"];

/** Parameters that choose concepts; a link that clears the filters takes all of them away. */
export const FILTERS = ["q", "status", "coverage", "kinds", "region"] as const;

/** The concept whose number is searched for, `12` or `#12`; null: no number, or no concept of the table. */
export function searchedId(params: URLSearchParams, rows: number): number | null {
  const digits = /^\s*#?(\d{1,9})\s*$/.exec(params.get("q") ?? "")?.[1];
  return digits !== undefined && Number(digits) < rows ? Number(digits) : null;
}

/** The rows with one of them put first, added if it is not among them. */
export function withFirst(rows: Uint32Array, first: number | null): Uint32Array {
  if (first === null) return rows;
  return Uint32Array.from([first, ...rows.filter((row) => row !== first)]);
}

/**
 * What a row must fulfil to be shown.
 *
 * `table` has all columns of `concepts.parquet`; those of a benchmark's part may stand in their place.
 */
export function tests(params: URLSearchParams, table: Table, regions: Region[]): Test[] {
  return [
    params.get("kinds") === "all" ? null : ofRanked(table),
    ofSearch(params.get("q") ?? "", table),
    ofWord(params.get("status"), "performance_status", table),
    ofWord(params.get("coverage"), "coverage_status", table),
    ofRegion(params.get("region"), table, regions),
  ].filter((test) => test !== null);
}

export function ofRanked(table: Table): Test {
  const ranked = numbers(table, "ranked");
  return (row) => ranked[row] === 1;
}

/** Whether all words are in the label (without one, in the token it peaks on), or the number is the concept's own. */
function ofSearch(query: string, table: Table): Test | null {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return null;
  const names = searchable(table);
  const concept = searchedId(new URLSearchParams({ q: query }), table.rows);
  return (row) => row === concept || words.every((word) => names[row]!.includes(word));
}

const lowered = new WeakMap<Column, string[]>();

/** What a search looks through; made once. */
function searchable(table: Table): string[] {
  const column = table.columns.label!;
  const known = lowered.get(column);
  if (known) return known;
  const tokens = texts(table, "peak_token");
  const names = texts(table, "label").map((label, row) => (label ?? tokens[row] ?? "").toLowerCase());
  lowered.set(column, names);
  return names;
}

/** `failure,success`: one of these words. */
function ofWord(param: string | null, key: string, table: Table): Test | null {
  if (!param) return null;
  const wanted = new Set(param.split(","));
  const values = texts(table, key);
  return (row) => wanted.has(values[row] ?? "");
}

function ofRegion(param: string | null, table: Table, regions: Region[]): Test | null {
  if (param === null || !/^\d{1,9}$/.test(param) || !regions[Number(param)]) return null;
  const [finest, inside] = [numbers(table, "region"), liesIn(regions, Number(param))];
  return (row) => inside(finest[row]!);
}
