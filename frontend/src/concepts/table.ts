/** The table of concepts: which rows are shown, in which order, and as a file. */
import type { Face } from "../app/state";
import { liesIn } from "../atlas/regions";
import { csvFile, save } from "../data/download";
import {
  type Column,
  columnNamed,
  everyRow,
  numbers,
  type Sort,
  sorted,
  sortedBy,
  type Table,
  type Test,
  text,
  texts,
  value,
} from "../data/table";
import type { Quantity, Region, RunInfo } from "../data/types";
import { wholeNumber } from "../text";
import { roundedUp, type Scale } from "../ui/IntervalBar";

/** The table with a further column, the name of each concept's region, where the run has an atlas. */
export function withRegionNames(table: Table, regions: Region[]): Table {
  if (regions.length === 0) return table;
  const values = Array.from(numbers(table, "region"), (region) => regions[region]?.name ?? null);
  return { rows: table.rows, columns: { ...table.columns, region_name: { kind: "text", values } } };
}

/** The kind of a concept in a word; null: it is contextual, or its kind is not known. */
export function kindOf(table: Table, row: number): string | null {
  if (value(table, "alive", row) === false) return "never active";
  const kind = text(table, "kind", row);
  return kind === "contextual" ? null : kind;
}

/** Why a concept is not ranked, in a word; null: it is ranked. */
export function unranked(table: Table, row: number): string | null {
  return value(table, "ranked", row) === true ? null : kindOf(table, row);
}

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
  const region = regions[wholeNumber(param) ?? -1]?.region;
  if (region === undefined) return null;
  const [finest, inside] = [numbers(table, "region"), liesIn(regions, region)];
  return (row) => inside(finest[row]!);
}

/** What is worst comes first, then what is well; what is not known comes last. */
const RANKS: Record<Face, { key: string; words: string[]; ties: { key: string; descending: boolean }[] }> = {
  model: {
    key: "performance_status",
    words: ["failure", "typical", "negligible", "success", "insufficient", "untested"],
    ties: [{ key: "association", descending: false }],
  },
  // A missing concept has no lift: the likelier that reference text would have shown it, the more its absence is news.
  benchmark: {
    key: "coverage_status",
    words: ["missing", "under", "typical", "over"],
    ties: ["lift", "chi_bench", "chance_seen", "density"].map((key) => ({
      key,
      descending: !["lift", "chi_bench"].includes(key),
    })),
  },
};

/** All rows as a sort wants them; without one, in the order that answers the question of a face. */
export function orderOf(table: Table, sort: Sort | null, face: Face): Uint32Array {
  const all = everyRow(table.rows);
  if (sort && columnNamed(table, sort.key)) return sorted(table, all, sort);
  const { key, words, ties } = RANKS[face];
  const rankOf = new Map(words.map((word, rank) => [word, rank]));
  const ranks = Float64Array.from(texts(table, key), (word) => rankOf.get(word ?? "") ?? NaN);
  return sortedBy(all, [
    { values: ranks, descending: false },
    ...ties
      .filter((tie) => columnNamed(table, tie.key))
      .map((tie) => ({ values: numbers(table, tie.key), descending: tie.descending })),
  ]);
}

export function orderWords(face: Face, lift: boolean): string {
  if (face === "model") return "those that go with failure first, by association";
  return lift ? "missing concepts first, then by lift" : "least covered first";
}

/** The scale of a column with intervals: from 0 to 1 for a share; else symmetric, as wide as most of the intervals. */
export function scaleOf(spec: Pick<Quantity, "key" | "kind">, table: Table): Scale {
  if (spec.kind !== "points") return { from: 0, to: 1, neutral: null };
  const most = Math.max(
    largest(table, spec.key),
    largest(table, `${spec.key}_low`, 0.9),
    largest(table, `${spec.key}_high`, 0.9),
    0.01,
  );
  const end = roundedUp(most);
  return { from: -end, to: end, neutral: 0 };
}

/** Size that a part of the values of ranked concepts does not exceed; 0 without any. */
function largest(table: Table, key: string, part = 0.98): number {
  const column = columnNamed(table, key);
  const ranked = table.columns.ranked;
  if (column?.kind !== "number" || ranked?.kind !== "flag") return 0;
  let sizes = known.get(column);
  if (!sizes) {
    sizes = Float64Array.from(column.values as Float32Array, Math.abs)
      .filter((size, row) => Number.isFinite(size) && ranked.values[row] === 1)
      .sort();
    known.set(column, sizes);
  }
  return sizes[Math.floor(part * (sizes.length - 1))] ?? 0;
}

const known = new WeakMap<Column, Float64Array>();

const ALWAYS = ["concept", "label", "label_kind", "label_score", "label_scored_by"];

/** The shown rows in their order with the shown columns, and the ends of their intervals. */
export function download(run: RunInfo, table: Table, rows: Uint32Array, specs: Quantity[]): void {
  const keys = specs.flatMap(({ key, interval }) => (interval ? [key, `${key}_low`, `${key}_high`] : [key]));
  const fields = [...new Set([...ALWAYS, ...keys])].flatMap((name) => {
    const column = columnNamed(table, name);
    return column ? [{ name, column }] : [];
  });
  save(`${run.key}-concepts.csv`, csvFile(fields, rows), "text/csv;charset=utf-8");
}
