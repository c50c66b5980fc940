/** Concepts selected on the map, which the table reads too. The selection is part of the address (`ids=`). */
import { useMemo } from "react";
import { go, useRoute } from "./route";

/** A longer selection makes no usable address: it stays in this tab, and the address holds a word for it. */
const LONGEST = 8000;
const KEPT = 20;
const kept = new Map<string, Uint32Array>();

/** The value of `ids=` for a choice of concepts, ascending: `3,17,20`, or a word that only this tab knows. */
export function selectionParam(ids: Uint32Array | null): string | null {
  if (ids === null || ids.length === 0) return null;
  const text = ids.join(",");
  if (text.length <= LONGEST) return text;
  const word = `tab-${unguessable()}`;
  kept.set(word, ids);
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
  return word;
}

/** A word that another tab, which knows other choices, never makes as well. */
function unguessable(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether the choice is in this tab only: too long for any address. */
export const onlyHere = (param: string | null) => param !== null && kept.has(param);

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
