/** A choice of concepts, made on the map and read by the table. It lies in the address (`ids=`), so that it goes along from view to view. */
import { useMemo } from "react";
import { go, useRoute } from "./route";

/** As many are spelt out in the address. More are kept in this tab, and the address has a word for them. */
const SPELT = 200;
const KEPT = 20;
const kept = new Map<string, Uint32Array>();
let made = 0;

/** The value of `ids=` for a choice of concepts: `3,17,20`, or `tab-1` for many. */
export function selectionParam(ids: Uint32Array | null): string | null {
  if (ids === null || ids.length === 0) return null;
  if (ids.length < SPELT) return ids.join(",");
  const word = `tab-${++made}`;
  kept.set(word, ids);
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
  return word;
}

/** The concepts that a value of `ids=` stands for, ascending; null: none, or kept in another tab. */
export function selectionOf(param: string | null): Uint32Array | null {
  if (param === null) return null;
  if (/^\d{1,9}(,\d{1,9})*$/.test(param)) return Uint32Array.from(new Set(param.split(",").map(Number))).sort();
  return kept.get(param) ?? null;
}

/** The chosen concepts, ascending; null: none are chosen. */
export function useSelection(): Uint32Array | null {
  const param = useRoute().params.get("ids");
  return useMemo(() => selectionOf(param), [param]);
}

/** Chooses concepts (ids, ascending) in the view that is shown; null takes the choice back. */
export function setSelection(ids: Uint32Array | null): void {
  go({ params: { ids: selectionParam(ids) } });
}
