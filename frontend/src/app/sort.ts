/** The order of a table, as the address says it: `sort=-gap` is by gap, the largest first. */
import type { Sort } from "../data/table";

/** The order that is asked for; null: none, or by a column that the view does not have. */
export function readSort(param: string | null, known: readonly string[]): Sort | null {
  if (param === null) return null;
  const descending = param.startsWith("-");
  const key = descending ? param.slice(1) : param;
  return known.includes(key) ? { key, descending } : null;
}

export const writeSort = (sort: Sort | null) => (sort ? `${sort.descending ? "-" : ""}${sort.key}` : null);
