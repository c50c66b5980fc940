/** Rows of a table as a CSV file that the reader keeps. */
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
  const lines = [`\ufeff${fields.map(({ name }) => csvText(visible(name))).join(",")}`];
  for (const row of order) lines.push(fields.map(({ column }) => csvCell(column, row)).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function csvCell(column: Column, row: number): string {
  if (column.kind === "text") return column.values[row] == null ? "" : csvText(visible(column.values[row]));
  const value = column.values[row]!;
  if (column.kind === "flag") return value === UNKNOWN ? "" : value === 1 ? "true" : "false";
  if (Number.isNaN(value)) return "";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return column.values instanceof Float32Array ? shortest(value) : String(value);
}

/** The fewest digits that give the same single-precision number again. */
function shortest(value: number): string {
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
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
