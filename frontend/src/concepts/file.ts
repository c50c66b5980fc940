/** The shown table as a file: its rows in their order, its columns, and the ends of their intervals. */
import { csvFile, type Field, parquetFile, save } from "../data/download";
import { columnNamed, type Table } from "../data/table";
import type { ColumnSpec, RunInfo } from "../data/types";
import { within } from "./table";

export interface Download {
  run: RunInfo;
  table: Table;
  rows: Uint32Array;
  specs: ColumnSpec[];
  each: ColumnSpec | null;
  /** The page's own, which shows the same rows again. */
  address: string;
}

const ALWAYS = ["concept", "label", "label_kind", "label_score", "label_scored_by"];

/** The fields of a shown column: its interval too, and for a follower the leader of its group. */
function keysOf({ key, interval }: ColumnSpec): string[] {
  if (key === "followers") return ["leader", key];
  return interval ? [key, `${key}_low`, `${key}_high`] : [key];
}

export function fieldsOf({ run, table, specs, each }: Download): Field[] {
  const keys = [...ALWAYS, ...specs.flatMap(keysOf)];
  const named = [...new Set(keys)].map((key) => ({ name: key, key }));
  if (each)
    for (const benchmark of run.benchmarks)
      named.push({ name: `${each.key} ${benchmark.name}`, key: within(each.key, benchmark.name) });
  return named.flatMap(({ name, key }) => {
    const column = columnNamed(table, key);
    return column ? [{ name, column }] : [];
  });
}

export function download(kind: "csv" | "parquet", shown: Download): void {
  const fields = fieldsOf(shown);
  const name = `${shown.run.key}-concepts.${kind}`;
  if (kind === "csv") save(name, csvFile(fields, shown.rows), "text/csv;charset=utf-8");
  else
    save(
      name,
      parquetFile(fields, shown.rows, { run: shown.run.title, view: shown.address }),
      "application/vnd.apache.parquet",
    );
}
