/** Which concepts are shown, as the address says it. The map reads the same settings. */
import { selectionOf } from "../app/selection";
import { type Column, columnNamed, numbers, type Table, type Test, texts } from "../data/table";
import { KINDS, type Kind } from "./kinds";

export const PERFORMANCE = ["weak", "strong", "negligible", "typical", "insufficient", "untested"];
export const COVERAGE = ["missing", "under", "typical", "over"];

/** Parameters that choose concepts; a link that clears the filters takes all of them away. */
export const FILTERS = [
  "q",
  "status",
  "coverage",
  "kinds",
  "only",
  "theme",
  "subtheme",
  "finding",
  "n_eff",
  "qmax",
  "liftmin",
  "liftmax",
  "ids",
] as const;

/** The kinds whose concepts are shown beside the ranked ones. */
export function shownKinds(param: string | null): Kind[] {
  return param === "all" ? [...KINDS] : KINDS.filter((kind) => (param ?? "").split(",").includes(kind));
}

/** Whether all other concepts are left out beside the kinds that are shown. */
export const onlyLeftOut = (params: URLSearchParams) =>
  params.get("only") === "1" && shownKinds(params.get("kinds")).length > 0;

/** The concept whose number is searched for, `12` or `#12`; null: no number, or no concept of the table. */
export function searchedId(params: URLSearchParams, rows: number): number | null {
  const digits = /^\s*#?(\d{1,9})\s*$/.exec(params.get("q") ?? "")?.[1];
  return digits !== undefined && Number(digits) < rows ? Number(digits) : null;
}

/** The rows with one of them put first, added if it is not among them. */
export function withFirst(rows: Uint32Array, first: number | null): Uint32Array {
  if (first === null) return rows;
  const others = rows.filter((row) => row !== first);
  const all = new Uint32Array(others.length + 1);
  all[0] = first;
  all.set(others, 1);
  return all;
}

/** A number in the address; null: not given, or none. */
export function bound(params: URLSearchParams, name: string): number | null {
  const given = params.get(name);
  return given !== null && given.trim() !== "" && Number.isFinite(Number(given)) ? Number(given) : null;
}

/**
 * What a row must fulfil to be shown.
 *
 * `table` has all columns of `concepts.parquet`; those of a benchmark's part may stand in their place.
 */
export function tests(params: URLSearchParams, table: Table): Test[] {
  return [
    ofKinds(shownKinds(params.get("kinds")), onlyLeftOut(params), table),
    ofSearch(params.get("q") ?? "", table),
    ofWord(params.get("status"), "performance_status", table),
    ofWord(params.get("coverage"), "coverage_status", table),
    ofNumber(params.get("theme"), "theme", table),
    ofNumber(params.get("subtheme"), "subtheme", table),
    ofNumber(params.get("finding"), "finding", table),
    ofRange(bound(params, "n_eff"), null, "n_eff", table),
    ofRange(null, bound(params, "qmax"), "q_value", table),
    ofRange(bound(params, "liftmin"), bound(params, "liftmax"), "lift", table),
    ofChoice(params.get("ids")),
  ].filter((test) => test !== null);
}

/** Ranked concepts (not those if `only`), and those of the kinds that are shown; null: all. */
export function ofKinds(shown: Kind[], only: boolean, table: Table): Test | null {
  if (shown.length === KINDS.length && !only) return null;
  const ranked = numbers(table, "ranked");
  const alive = numbers(table, "alive");
  const kinds = texts(table, "kind");
  const wanted = new Set<string | null>(shown);
  const dead = wanted.has("dead");
  return (row) => (ranked[row] === 1 && !only) || (dead && alive[row] === 0) || wanted.has(kinds[row]!);
}

/** Whether all words are in the label (without one, in the token it peaks on), or the number is the concept's own. */
function ofSearch(query: string, table: Table): Test | null {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return null;
  const names = searchable(table);
  const concept = searchedId(new URLSearchParams({ q: query }), table.rows);
  return (row) => row === concept || words.every((word) => names[row]!.includes(word));
}

const lowered = new WeakMap<Column, string[]>();

/** What a search looks through; made once, at the first search or before it. */
export function searchable(table: Table): string[] {
  const column = table.columns.label!;
  const known = lowered.get(column);
  if (known) return known;
  const tokens = texts(table, "peak_token");
  const names = texts(table, "label").map((label, row) => (label ?? tokens[row] ?? "").toLowerCase());
  lowered.set(column, names);
  return names;
}

/** `weak,strong`: one of these words. */
function ofWord(param: string | null, key: string, table: Table): Test | null {
  if (!param) return null;
  const wanted = new Set(param.split(","));
  const values = texts(table, key);
  return (row) => wanted.has(values[row] ?? "");
}

function ofNumber(param: string | null, key: string, table: Table): Test | null {
  if (param === null || !/^\d{1,9}$/.test(param) || !columnNamed(table, key)) return null;
  const values = numbers(table, key);
  const wanted = Number(param);
  return (row) => values[row] === wanted;
}

/** Within both bounds; what is not defined is in no range. */
function ofRange(least: number | null, most: number | null, key: string, table: Table): Test | null {
  if (least === null && most === null) return null;
  const values = numbers(table, key);
  const [from, to] = [least ?? -Infinity, most ?? Infinity];
  return (row) => values[row]! >= from && values[row]! <= to;
}

function ofChoice(param: string | null): Test | null {
  const ids = selectionOf(param);
  if (ids === null) return null;
  const chosen = new Set(ids);
  return (row) => chosen.has(row);
}
