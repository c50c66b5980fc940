/** Rows of a table as files that the reader keeps. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { csvText, visible } from "../text";
import { type Column, UNKNOWN } from "./table";

/** A column of the file. */
export interface Field {
  name: string;
  column: Column;
}

/**
 * CSV for spreadsheets and programs: with a byte order mark, without which Excel does not read UTF-8. Texts that would
 * run as formulas are defused, and invisible characters are written out. Null is empty.
 */
export function csvFile(fields: Field[], order: Uint32Array): string {
  const writers = fields.map(({ column }) => csvWriter(column));
  const lines = [`\ufeff${fields.map(({ name }) => csvText(visible(name))).join(",")}`];
  for (const row of order) lines.push(writers.map((write) => write(row)).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function csvWriter(column: Column): (row: number) => string {
  if (column.kind === "text") {
    const { values } = column;
    return (row) => (values[row] == null ? "" : csvText(visible(values[row])));
  }
  if (column.kind === "flag")
    return (row) => (column.values[row] === UNKNOWN ? "" : column.values[row] === 1 ? "true" : "false");
  const { values } = column;
  const written = values instanceof Float32Array ? shortest : String;
  return (row) => (Number.isNaN(values[row]) ? "" : (infinite(values[row]!) ?? written(values[row]!)));
}

const infinite = (value: number) => (Number.isFinite(value) ? null : value > 0 ? "inf" : "-inf");

/** The fewest digits that give the same single-precision number again. */
function shortest(value: number): string {
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/** Parquet with texts as they are. */
export function parquetFile(fields: Field[], order: Uint32Array, facts: Record<string, string>): ArrayBuffer {
  return parquetWriteBuffer({
    columnData: fields.map(({ name, column }) => ({ name, ...parquetColumn(column, order) })),
    rowGroupSize: Math.max(1, order.length),
    kvMetadata: Object.entries(facts).map(([key, value]) => ({ key, value })),
    createdBy: "competency-gaps",
  });
}

function parquetColumn(column: Column, order: Uint32Array) {
  if (column.kind === "text")
    return { data: Array.from(order, (row) => column.values[row] ?? null), type: "STRING" as const };
  if (column.kind === "flag") {
    const data = Array.from(order, (row) => (column.values[row] === UNKNOWN ? null : column.values[row] === 1));
    return { data, type: "BOOLEAN" as const };
  }
  const { values } = column;
  const data = Array.from(order, (row) => (Number.isNaN(values[row]) ? null : values[row]!));
  if (values instanceof Float32Array) return { data, type: "FLOAT" as const };
  const whole = data.every((value) => value === null || (Number.isInteger(value) && Math.abs(value) < 2 ** 31));
  return { data, type: whole ? ("INT32" as const) : ("DOUBLE" as const) };
}

/** Gives the reader a file. */
export function save(name: string, content: BlobPart, type: string): void {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // The browser has taken the content by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
