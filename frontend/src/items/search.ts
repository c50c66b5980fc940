/** Full-text search over items: asked of the server, else done here, part by part. */
import { readItem } from "../data/hooks";
import { source } from "../data/source";
import { type Table, texts } from "../data/table";
import type { RunInfo } from "../data/types";

export interface Found {
  query: string;
  rows: Uint32Array;
  /** Items that hold it; more than `rows` where the server gives only the first. */
  total: number;
}

/** Which items hold the text, regardless of case: in prompt, response, expected answer or id. `advance` is told the share that is done. */
export async function searchItems(
  run: RunInfo,
  table: Table,
  query: string,
  signal: AbortSignal,
  advance: (share: number) => void,
): Promise<Found> {
  if (source.search) {
    const { rows, total } = await source.search(run.key, query, signal);
    return { query, rows: Uint32Array.from(rows).sort(), total };
  }
  const rows: number[] = [];
  const ids = texts(table, "item_id");
  const wanted = query.toLowerCase();
  for (let row = 0; row < run.items; row++) {
    if (row % run.shards.items === 0) {
      if (signal.aborted) throw new DOMException("", "AbortError");
      advance(row / run.items);
    }
    const item = await readItem(run, row);
    if ([ids[row], item.text, item.response, item.answer].some((one) => one?.toLowerCase().includes(wanted)))
      rows.push(row);
  }
  return { query, rows: Uint32Array.from(rows), total: rows.length };
}
