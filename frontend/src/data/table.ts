/** Columns in memory, and choosing and ordering their rows: fast enough for each keystroke at 131,072 rows. */

export type Column =
  | { kind: "number" /** NaN: null. */; values: Float64Array | Float32Array }
  | { kind: "text"; values: (string | null)[] }
  | { kind: "flag" /** 1: true, 0: false, `UNKNOWN`: null. */; values: Uint8Array };

/** A flag that is null. */
export const UNKNOWN = 255;

export interface Table {
  rows: number;
  columns: Record<string, Column>;
}

export type Sort = { key: string; descending: boolean };

/** The order in the address, `sort=-gap` for the largest gap first; null: none, or by a column the view lacks. */
export function readSort(param: string | null, known: readonly string[]): Sort | null {
  if (param === null) return null;
  const descending = param.startsWith("-");
  const key = descending ? param.slice(1) : param;
  return known.includes(key) ? { key, descending } : null;
}

export const writeSort = (sort: Sort | null) => (sort ? `${sort.descending ? "-" : ""}${sort.key}` : null);

/** The column of a name, which may come from an address and be any word, `toString` too; undefined: there is none. */
export function columnNamed(table: Table, key: string): Column | undefined {
  return Object.hasOwn(table.columns, key) ? table.columns[key] : undefined;
}

/** A column's numbers. Flags become 0 and 1, unknown ones `UNKNOWN`. */
export function numbers(table: Table, key: string): Float64Array | Float32Array | Uint8Array {
  const column = columnNamed(table, key);
  if (!column || column.kind === "text") throw new Error(`The table has no column of numbers named ${key}.`);
  return column.values;
}

export function texts(table: Table, key: string): (string | null)[] {
  const column = columnNamed(table, key);
  if (column?.kind !== "text") throw new Error(`The table has no column of texts named ${key}.`);
  return column.values;
}

/** One value: null where it is undefined. */
export function value(table: Table, key: string, row: number): number | string | boolean | null {
  const column = columnNamed(table, key);
  if (!column) return null;
  if (column.kind === "flag") return column.values[row] === UNKNOWN ? null : column.values[row] === 1;
  const result = column.values[row] ?? null;
  return typeof result === "number" && Number.isNaN(result) ? null : result;
}

export const number = (table: Table, key: string, row: number) => value(table, key, row) as number | null;
export const text = (table: Table, key: string, row: number) => value(table, key, row) as string | null;

export type Test = (row: number) => boolean;

/** Rows for which every test holds, ascending. */
export function select(rows: number, tests: Test[]): Uint32Array {
  return among(everyRow(rows), tests);
}

export function everyRow(rows: number): Uint32Array {
  const all = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) all[row] = row;
  return all;
}

/** The rows of an order for which every test holds, in that order. */
export function among(order: Uint32Array, tests: Test[]): Uint32Array {
  const chosen = new Uint32Array(order.length);
  let count = 0;
  next: for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    for (const test of tests) if (!test(row)) continue next;
    chosen[count++] = row;
  }
  return chosen.slice(0, count);
}

/** The rows in the order of a column; undefined values come last either way, ties in ascending order of rows. */
export function sorted(table: Table, rows: Uint32Array, sort: Sort): Uint32Array {
  const column = columnNamed(table, sort.key);
  return column ? sortedBy(rows, [{ values: sortKeys(column), descending: sort.descending }]) : rows;
}

/** The rows ordered by a number per row; NaN comes last either way, and ties are in ascending order of rows. */
export function sortedBy(rows: Uint32Array, keys: { values: ArrayLike<number>; descending: boolean }[]): Uint32Array {
  const comparable = keys.map(({ values, descending }) => {
    const ranks = new Float64Array(values.length);
    for (const row of rows) {
      const value = values[row]!;
      // An infinite value comes before an undefined one.
      if (Number.isNaN(value)) ranks[row] = Infinity;
      else ranks[row] = Math.min(Number.MAX_VALUE, Math.max(-Number.MAX_VALUE, descending ? -value : value));
    }
    return ranks;
  });
  const [first, second] = comparable;
  if (!first) return rows;
  if (!second) return rows.slice().sort((a, b) => first[a]! - first[b]! || a - b);
  return rows.slice().sort((a, b) => {
    for (const values of comparable) {
      const difference = values[a]! - values[b]!;
      // Infinity less itself is NaN: both are undefined.
      if (difference) return difference;
    }
    return a - b;
  });
}

/** Numbers that order the values of a column: NaN for null. */
function sortKeys(column: Column): ArrayLike<number> {
  if (column.kind === "text") return ranks(column.values);
  return column.kind === "flag"
    ? Float64Array.from(column.values, (value) => (value === UNKNOWN ? NaN : value))
    : column.values;
}

const known = new WeakMap<(string | null)[], Float64Array>();

/** Rank of each text, ignoring case and with numbers by size; computed once per column. */
export function ranks(values: (string | null)[]): Float64Array {
  const cached = known.get(values);
  if (cached) return cached;
  // A collator would take several times as long as comparing texts that are made comparable once.
  const keys = new Map<string, string>();
  for (const text of values) if (text !== null && !keys.has(text)) keys.set(text, comparableText(text));
  const different = [...keys.keys()];
  const folded = [...keys.values()];
  const order = everyRow(different.length).sort((a, b) =>
    folded[a]! < folded[b]! ? -1 : folded[a]! > folded[b]! ? 1 : a - b,
  );
  const rank = new Map<string, number>();
  order.forEach((index, position) => {
    rank.set(different[index]!, position);
  });
  const result = Float64Array.from(values, (name) => (name === null ? NaN : rank.get(name)!));
  known.set(values, result);
  return result;
}

function comparableText(text: string): string {
  return text.toLowerCase().replace(/\d+/g, (digits) => digits.padStart(9, "0"));
}
