/** All state of the page is in its address, so a link shows the same: `#/RUN/VIEW?concept=12&face=benchmark`. */
import { useSyncExternalStore } from "react";

export const VIEWS = [
  "home",
  "answer",
  "slice",
  "models",
  "atlas",
  "coverage",
  "concepts",
  "items",
  "improve",
  "benchmarks",
  "trust",
  "compare",
] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  /** Empty: the first run. */
  run: string;
  view: View;
  /** Number of the slice in view; empty in other views. */
  slice: string;
  /** A view in the address that does not exist; the first view is shown instead. */
  unknown: string | null;
  params: URLSearchParams;
}

/** A change of the address; null removes a parameter. */
export interface Change {
  run?: string;
  view?: View;
  slice?: string | number;
  /** Parameters to set; the others are kept within a view. */
  params?: Record<string, string | number | null>;
}

/** Parameters kept when the view changes. */
const SHARED = ["face", "benchmark", "model", "against", "concept", "item"];

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [run = "", view = "", slice = ""] = path.split("/");
  const known = VIEWS.includes(view as View);
  return {
    run: safeDecoded(run),
    view: known ? (view as View) : "home",
    slice: known ? slice : "",
    unknown: known || view === "" ? null : view,
    params: new URLSearchParams(query),
  };
}

function safeDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function address(route: Route, change: Change): string {
  const view = change.view ?? route.view;
  const params = new URLSearchParams();
  const sameView = view === route.view && (change.run === undefined || change.run === route.run);
  const otherRun = change.run !== undefined && change.run !== route.run;
  for (const [key, value] of route.params) {
    // Other parameters may not apply to another run; the caller passes those that do.
    if (otherRun && key !== "face") continue;
    if (sameView || SHARED.includes(key)) params.set(key, value);
  }
  for (const [key, value] of Object.entries(change.params ?? {})) {
    if (value === null || value === "") params.delete(key);
    else params.set(key, String(value));
  }
  const query = params.toString();
  const slice = String(change.slice ?? (sameView ? route.slice : ""));
  const path = [change.run ?? route.run, view, ...(slice ? [slice] : [])].map(encodeURIComponent).join("/");
  return `#/${path}${query ? `?${query}` : ""}`;
}

let current = parse(location.hash);
const listeners = new Set<() => void>();
const notify = () => {
  for (const listener of listeners) listener();
};
addEventListener("hashchange", () => {
  current = parse(location.hash);
  notify();
});

export function useRoute(): Route {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Change the address; `replace` adds no history entry (typing in a filter). */
export function go(change: Change, replace = false): void {
  const next = address(current, change);
  if (next === location.hash) return;
  if (!replace) {
    location.hash = next;
    return;
  }
  history.replaceState(null, "", next);
  current = parse(next);
  notify();
}
