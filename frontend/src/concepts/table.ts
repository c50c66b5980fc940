/** The table of concepts: columns that are put beside its own, its orders, and its rows as a file. */
import type { Face } from "../app/state";
import { csvFile, save } from "../data/download";
import { columnNamed, everyRow, numbers, type Sort, sorted, sortedBy, type Table, texts } from "../data/table";
import type { Quantity, Region, RunInfo } from "../data/types";

/** Name of the column that holds a measure within a benchmark. */
export const within = (measure: string, benchmark: string) => `${measure}@${benchmark}`;

/**
 * The table with further columns: names of regions, and a measure of each benchmark read so far (`parts`, in the order
 * of `names`).
 */
export function widened(
  table: Table,
  regions: Region[],
  measure: string | null,
  parts: (Table | null)[],
  names: string[],
): Table {
  const columns = { ...table.columns };
  if (regions.length)
    columns.region_name = {
      kind: "text",
      values: Array.from(numbers(table, "region"), (region) => regions[region]?.name ?? null),
    };
  parts.forEach((part, place) => {
    const column = measure && part ? columnNamed(part, measure) : undefined;
    if (measure && column) columns[within(measure, names[place]!)] = column;
  });
  return { rows: table.rows, columns };
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
  const place = new Map(words.map((word, rank) => [word, rank]));
  const ranks = Float64Array.from(texts(table, key), (word) => place.get(word ?? "") ?? NaN);
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

const ALWAYS = ["concept", "label", "label_kind", "label_score", "label_scored_by"];

/** The shown rows in their order with the shown columns, and the ends of their intervals. */
export function download(
  run: RunInfo,
  table: Table,
  rows: Uint32Array,
  specs: Quantity[],
  each: Quantity | null,
): void {
  const own = specs.flatMap(({ key, interval }) => (interval ? [key, `${key}_low`, `${key}_high`] : [key]));
  const named = [...new Set([...ALWAYS, ...own])].map((key) => ({ name: key, key }));
  for (const { name } of each ? run.benchmarks : [])
    named.push({ name: `${each!.key} ${name}`, key: within(each!.key, name) });
  const fields = named.flatMap(({ name, key }) => {
    const column = columnNamed(table, key);
    return column ? [{ name, column }] : [];
  });
  save(`${run.key}-concepts.csv`, csvFile(fields, rows), "text/csv;charset=utf-8");
}
