/** Parquet parts into columns, and columns into Parquet files for download. */
import { parquetMetadata, parquetRead } from "hyparquet";
import { type Column, type Table, UNKNOWN } from "./table";

/** Reads a part. */
export async function parquetTable(bytes: Uint8Array): Promise<Table> {
  const buffer =
    bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
      ? (bytes.buffer as ArrayBuffer)
      : (bytes.slice().buffer as ArrayBuffer);
  const metadata = parquetMetadata(buffer);
  const rows = Number(metadata.num_rows);
  const parts = new Map<string, { start: number; values: ArrayLike<unknown> }[]>();
  await parquetRead({
    file: buffer,
    metadata,
    onChunk: ({ columnName, columnData, rowStart }) => {
      const known = parts.get(columnName) ?? [];
      known.push({ start: rowStart, values: columnData as ArrayLike<unknown> });
      parts.set(columnName, known);
    },
  });
  const columns: Table["columns"] = {};
  for (const element of metadata.schema.slice(1)) {
    columns[element.name] = column(parts.get(element.name) ?? [], rows, element.type ?? "");
  }
  return { rows, columns };
}

function column(parts: { start: number; values: ArrayLike<unknown> }[], rows: number, type: string): Column {
  if (type === "BYTE_ARRAY") {
    const values = new Array<string | null>(rows).fill(null);
    for (const { start, values: part } of parts) {
      for (let i = 0; i < part.length; i++) values[start + i] = (part[i] as string | null | undefined) ?? null;
    }
    return { kind: "text", values };
  }
  if (type === "BOOLEAN") {
    const values = new Uint8Array(rows).fill(UNKNOWN);
    for (const { start, values: part } of parts) {
      for (let i = 0; i < part.length; i++) if (part[i] != null) values[start + i] = part[i] ? 1 : 0;
    }
    return { kind: "flag", values };
  }
  const values = type === "FLOAT" ? new Float32Array(rows).fill(NaN) : new Float64Array(rows).fill(NaN);
  for (const { start, values: part } of parts) {
    for (let i = 0; i < part.length; i++) {
      const value = part[i];
      if (value != null) values[start + i] = Number(value);
    }
  }
  return { kind: "number", values };
}
