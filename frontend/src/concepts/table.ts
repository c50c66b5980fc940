/** The table of concepts: columns that are put beside its own, and its orders. */
import type { Face } from "../app/state";
import { columnNamed, everyRow, numbers, type Sort, sorted, sortedBy, type Table, texts } from "../data/table";
import type { ThemeFile } from "../data/types";

/** Name of the column that holds a measure within a benchmark. */
export const within = (measure: string, benchmark: string) => `${measure}@${benchmark}`;

/**
 * The table with further columns: names of themes, and a measure of each benchmark read so far (`parts`, in the order
 * of `names`).
 */
export function widened(
  table: Table,
  themes: ThemeFile | null,
  measure: string | null,
  parts: (Table | null)[],
  names: string[],
): Table {
  const columns = { ...table.columns };
  if (themes) {
    for (const level of ["theme", "subtheme"] as const) {
      const names = new Map(
        themes.themes.filter((theme) => theme.level === level).map((theme) => [theme.id, theme.name]),
      );
      const ids = numbers(table, level);
      columns[`${level}_name`] = {
        kind: "text",
        values: Array.from(ids, (id) => (Number.isNaN(id) ? null : (names.get(id) ?? `${level} ${id}`))),
      };
    }
  }
  parts.forEach((part, place) => {
    const column = measure && part ? columnNamed(part, measure) : undefined;
    if (measure && column) columns[within(measure, names[place]!)] = column;
  });
  return { rows: table.rows, columns };
}

/** Order of concepts by finding, the leading concept first; NaN: evidence for no finding. */
export function groupPlaces(table: Table): Float64Array {
  const [finding, leader] = [numbers(table, "finding"), numbers(table, "leader")];
  return Float64Array.from(everyRow(table.rows), (row) => 2 * finding[row]! + (leader[row] === row ? 0 : 1));
}

/** What is worst comes first, then what is well; what is not known comes last. */
const RANKS: Record<
  Face,
  { key: string; words: string[]; ties: (table: Table) => { key: string; descending: boolean }[] }
> = {
  model: {
    key: "performance_status",
    words: ["weak", "typical", "negligible", "strong", "insufficient", "untested"],
    // The concept that a finding names stands at its head.
    ties: (table) =>
      (columnNamed(table, "group_place") ? ["group_place", "gap"] : ["gap"]).map((key) => ({ key, descending: false })),
  },
  // A missing concept has no lift: the likelier that reference text would have shown it, the more its absence is news.
  benchmark: {
    key: "coverage_status",
    words: ["missing", "under", "typical", "over"],
    ties: (table) =>
      ["lift", "chance_seen", "density"]
        .filter((key) => columnNamed(table, key))
        .map((key) => ({ key, descending: key !== "lift" })),
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
    ...ties(table).map((tie) => ({ values: numbers(table, tie.key), descending: tie.descending })),
  ]);
}

/** In words, what the order without a sort is. */
export function orderWords(face: Face, table: Table): string {
  if (face === "model")
    return columnNamed(table, "group_place")
      ? "weak ones first, finding by finding, the leading concept before the others"
      : "weak ones first, by gap";
  const missing = columnNamed(table, "chance_seen")
    ? "by how likely reference text was to show them"
    : `by ${columnNamed(table, "density") ? "density" : "number"}`;
  return `missing ones first, ${missing}${columnNamed(table, "lift") ? "; the others by lift" : ""}`;
}
