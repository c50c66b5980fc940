/** The result of a query, which is JSON of any shape, as facts and tables. */
import { NOT_DEFINED } from "../format";
import { visible } from "../text";

export type Row = Record<string, unknown>;
export interface Shown {
  facts: [string, unknown][];
  tables: { name: string; columns: string[]; rows: Row[] }[];
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);
const HIDDEN = "foreign_texts";

/** Facts are single values and short lists; lists of objects are tables, and so are objects. */
export function shownResult(result: unknown): Shown {
  if (!isRow(result)) return { facts: [["result", result]], tables: [] };
  const shown: Shown = { facts: [], tables: [] };
  for (const [name, value] of Object.entries(result)) {
    if (name === HIDDEN) continue;
    if (isRow(value))
      shown.facts.push(...Object.entries(value).map(([key, one]): [string, unknown] => [`${name}: ${key}`, one]));
    else if (Array.isArray(value) && value.length > 0 && value.every(isRow))
      shown.tables.push({ name, columns: columnsOf(value), rows: value });
    else shown.facts.push([name, value]);
  }
  return shown;
}

function columnsOf(rows: Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** A value in words; undefined: the row has no such field, which is shown as nothing. */
export function words(value: unknown): string {
  if (value === undefined) return "";
  if (value === null) return NOT_DEFINED;
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return visible(value);
  if (Array.isArray(value)) return value.length ? value.map(words).join(" · ") : "none";
  return visible(JSON.stringify(value));
}

/** Every digit of the result, with thousands separated. */
function number(value: number): string {
  const size = Math.abs(value);
  const text =
    Number.isInteger(value) || (size >= 1e-4 && size < 1e15)
      ? value.toLocaleString("en", { maximumFractionDigits: 9 })
      : String(value);
  return text.replace(/-/g, "−");
}

/** A field's name as people read it. */
export const title = (name: string) => visible(name).replace(/_/g, " ");
