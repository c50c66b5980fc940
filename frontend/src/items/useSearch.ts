import { useEffect, useRef, useState } from "react";
import { useRoute } from "../app/route";
import { useRun } from "../app/state";
import type { Table } from "../data/table";
import { type Found, searchItems } from "./search";

/** Milliseconds without a key stroke after which a search begins. */
const PAUSE = 120;

interface Search {
  query: string;
  /** Null: nothing is searched for, or nothing is found yet. */
  found: Found | null;
  /** Share of the items that were looked through; null: none is going on. */
  share: number | null;
  error: Error | null;
  cancel: () => void;
}

/** The search that the address asks for. What was found before stays until the next is there. */
export function useSearch(table: Table): Search {
  const run = useRun();
  const { params } = useRoute();
  const query = run.redacted ? "" : (params.get("q") ?? "").trim();
  const [state, setState] = useState<Pick<Search, "found" | "share" | "error">>({ found: null, share: null, error: null });
  const controller = useRef<AbortController | null>(null);
  useEffect(() => {
    if (query === "") {
      setState({ found: null, share: null, error: null });
      return;
    }
    const own = new AbortController();
    controller.current = own;
    const advance = (share: number) => !own.signal.aborted && setState((old) => ({ ...old, share }));
    const timer = setTimeout(() => {
      searchItems(run, table, query, own.signal, advance).then(
        (found) => !own.signal.aborted && setState({ found, share: null, error: null }),
        (fault: unknown) => {
          const error = fault instanceof Error ? fault : new Error(String(fault));
          if (!own.signal.aborted) setState({ found: null, share: null, error });
        },
      );
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      own.abort();
    };
  }, [run, table, query]);
  const cancel = () => {
    controller.current?.abort();
    setState((old) => ({ ...old, share: null }));
  };
  return { query, ...state, cancel };
}
