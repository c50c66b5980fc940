/** Columns in memory, and choosing and ordering their rows: fast enough for each keystroke at 131,072 rows. */

export type Column =
  | { kind: "number"; /** NaN: null. */ values: Float64Array | Float32Array }
  | { kind: "text"; values: (string | null)[] }
  | { kind: "flag"; /** 1: true. */ values: Uint8Array };

export interface Table {
  rows: number;
  columns: Record<string, Column>;
}

export type Sort = { key: string; descending: boolean };

/** A column's numbers. Flags become 0 and 1. */
export function numbers(table: Table, key: string): Float64Array | Float32Array | Uint8Array {
  const column = table.columns[key];
  if (!column || column.kind === "text") throw new Error(`The table has no column of numbers named ${key}.`);
  return column.values;
}

export function texts(table: Table, key: string): (string | null)[] {
  const column = table.columns[key];
  if (column?.kind !== "text") throw new Error(`The table has no column of texts named ${key}.`);
  return column.values;
}

/** One value: null where it is undefined. */
export function value(table: Table, key: string, row: number): number | string | boolean | null {
  const column = table.columns[key];
  if (!column) return null;
  if (column.kind === "flag") return column.values[row] === 1;
  const found = column.values[row] ?? null;
  return typeof found === "number" && Number.isNaN(found) ? null : found;
}

export const number = (table: Table, key: string, row: number) => value(table, key, row) as number | null;
export const text = (table: Table, key: string, row: number) => value(table, key, row) as string | null;

/** Rows for which every test holds, ascending. */
export function select(rows: number, tests: ((row: number) => boolean)[]): Uint32Array {
  const chosen = new Uint32Array(rows);
  let count = 0;
  next: for (let row = 0; row < rows; row++) {
    for (const test of tests) if (!test(row)) continue next;
    chosen[count++] = row;
  }
  return chosen.slice(0, count);
}

/** The rows in the order of a column; undefined values come last either way, ties in ascending order of rows. */
export function sorted(table: Table, rows: Uint32Array, sort: Sort): Uint32Array {
  const column = table.columns[sort.key];
  if (!column) return rows;
  if (column.kind === "text") return sortedTexts(column.values, rows, sort.descending);
  // Values and rows in one typed array each: comparing through a closure would cost several times as much.
  const sign = sort.descending ? -1 : 1;
  const keys = new Float64Array(column.values.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const found = column.values[row]!;
    keys[row] = Number.isNaN(found) ? Infinity : sign * found;
  }
  const defined: number[] = [];
  const last: number[] = [];
  for (const row of rows) (Number.isNaN(column.values[row]!) ? last : defined).push(row);
  const order = Uint32Array.from(defined).sort((a, b) => keys[a]! - keys[b]! || a - b);
  const all = new Uint32Array(rows.length);
  all.set(order);
  all.set(last, order.length);
  return all;
}

function sortedTexts(values: (string | null)[], rows: Uint32Array, descending: boolean): Uint32Array {
  // The collator is slow: each different text is compared once, then its rank is.
  const different = [...new Set(Array.from(rows, (row) => values[row] ?? null))].filter((one) => one !== null);
  const collator = new Intl.Collator("en", { numeric: true });
  const ranks = new Map(different.sort(collator.compare).map((one, rank) => [one, rank]));
  const keys = new Float64Array(values.length).fill(Infinity);
  for (const row of rows) {
    const found = values[row];
    if (found != null) keys[row] = (descending ? -1 : 1) * ranks.get(found)!;
  }
  return Uint32Array.from(rows).sort((a, b) => (keys[a] === keys[b] ? a - b : keys[a]! - keys[b]!));
}
