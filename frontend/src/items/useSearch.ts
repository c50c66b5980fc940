import { useEffect, useRef, useState } from "react";
import { useRoute } from "../app/route";
import { useRun } from "../app/state";
import { readItem } from "../data/hooks";
import { source } from "../data/source";
import { type Table, texts } from "../data/table";
import type { RunInfo } from "../data/types";

/** Milliseconds without a key stroke after which a search begins. */
const PAUSE = 120;

export interface Search {
  /** What is searched for; empty: nothing. */
  query: string;
  /** What was found last: of `query` once it is done, before that of other words; null: nothing yet. */
  hits: Hits | null;
  /** How far the search for `query` is. */
  stage: "going" | "stopped" | "failed" | "done";
  /** Share of the items that were looked through; null: not known. */
  share: number | null;
  error: Error | null;
  cancel: () => void;
  again: () => void;
}

interface State {
  hits: Hits | null;
  share: number | null;
  /** The search that ended without an answer; without an error it was stopped. */
  ended: { query: string; error: Error | null } | null;
}

const NOTHING: State = { hits: null, share: null, ended: null };

/** The search that the address asks for. What was found before stays until the next is there. */
export function useSearch(table: Table): Search {
  const run = useRun();
  const { params } = useRoute();
  const query = run.redacted ? "" : (params.get("q") ?? "").trim();
  const [state, setState] = useState(NOTHING);
  const [attempt, setAttempt] = useState(0);
  const controller = useRef<AbortController | null>(null);
  useEffect(() => {
    setState((old) => (query === "" ? NOTHING : { ...old, share: null, ended: null }));
    if (query === "") return;
    const own = new AbortController();
    controller.current = own;
    const set = (how: (old: State) => State) => !own.signal.aborted && setState(how);
    const timer = setTimeout(() => {
      searchItems(run, table, query, own.signal, (share) => set((old) => ({ ...old, share }))).then(
        (result) => set(() => ({ ...NOTHING, hits: result })),
        (fault: unknown) =>
          set(() => ({
            ...NOTHING,
            ended: { query, error: fault instanceof Error ? fault : new Error(String(fault)) },
          })),
      );
    }, PAUSE);
    own.signal.addEventListener("abort", () => clearTimeout(timer));
    return () => own.abort();
  }, [run, table, query, attempt]);
  const cancel = () => {
    controller.current?.abort();
    setState((old) => ({ ...old, share: null, ended: { query, error: null } }));
  };
  const again = () => setAttempt((before) => before + 1);
  return { query, ...shown(query, state), cancel, again };
}

/** What a state says of the words that are searched for now: they may be newer than it. */
function shown(query: string, { hits, share, ended }: State): Pick<Search, "hits" | "stage" | "share" | "error"> {
  if (query === "") return { hits: null, stage: "done", share: null, error: null };
  if (hits?.query === query) return { hits, stage: "done", share: null, error: null };
  if (ended?.query === query)
    return { hits, stage: ended.error ? "failed" : "stopped", share: null, error: ended.error };
  return { hits, stage: "going", share, error: null };
}

export interface Hits {
  query: string;
  rows: Uint32Array;
  /** Items that hold it; more than `rows` where the server gives only the first. */
  total: number;
}

/**
 * Finds the items whose prompt, response, expected answer or id contains the text, ignoring case. `advance` gets the
 * share done.
 */
export async function searchItems(
  run: RunInfo,
  table: Table,
  query: string,
  signal: AbortSignal,
  advance: (share: number) => void,
): Promise<Hits> {
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
    if ([ids[row], item.text, item.response, item.answer].some((text) => text?.toLowerCase().includes(wanted)))
      rows.push(row);
  }
  return { query, rows: Uint32Array.from(rows), total: rows.length };
}
