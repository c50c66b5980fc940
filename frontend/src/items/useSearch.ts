import { useEffect, useState } from "react";
import { useRoute } from "../app/route";
import { useRun } from "../app/state";
import { asError, readItem } from "../data/hooks";
import { source } from "../data/source";
import { type Table, texts } from "../data/table";
import type { RunInfo } from "../data/types";

/** Milliseconds without typing before a search starts. */
const PAUSE = 120;

export interface Hits {
  query: string;
  rows: Uint32Array;
  /** Number of matching items; more than `rows` if the server returns only the first. */
  total: number;
}

export interface Search {
  /** Text to search for; empty: no search. */
  query: string;
  /** The last result, kept while another search runs; null: none yet. */
  hits: Hits | null;
  error: Error | null;
}

/** The search in the address. The previous result stays until the next arrives. */
export function useSearch(table: Table): Search & { going: boolean } {
  const run = useRun();
  const { params } = useRoute();
  const query = run.redacted ? "" : (params.get("q") ?? "").trim();
  const [last, setLast] = useState<Search>({ query: "", hits: null, error: null });
  useEffect(() => {
    if (query === "") return setLast({ query, hits: null, error: null });
    const aborter = new AbortController();
    const timer = setTimeout(() => {
      searchItems(run, table, query, aborter.signal).then(
        (hits) => aborter.signal.aborted || setLast({ query, hits, error: null }),
        (error: unknown) => aborter.signal.aborted || setLast({ query, hits: null, error: asError(error) }),
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, [run, table, query]);
  return { ...last, query, going: last.query !== query };
}

/** Finds the items whose prompt, response, expected answer or id contains the text, ignoring case. */
async function searchItems(run: RunInfo, table: Table, query: string, signal: AbortSignal): Promise<Hits> {
  if (source.search) {
    const { rows, total } = await source.search(run.key, query, signal);
    return { query, rows: Uint32Array.from(rows).sort(), total };
  }
  const rows: number[] = [];
  const ids = texts(table, "item_id");
  const wanted = query.toLowerCase();
  for (let row = 0; row < run.items && !signal.aborted; row++) {
    const item = await readItem(run, row);
    if ([ids[row], item.text, item.response, item.answer].some((text) => text?.toLowerCase().includes(wanted)))
      rows.push(row);
  }
  return { query, rows: Uint32Array.from(rows), total: rows.length };
}
