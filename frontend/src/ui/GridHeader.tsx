import type { IHeaderParams } from "ag-grid-community";
import { createContext, useContext, useEffect, useRef } from "react";
import type { Sort } from "../data/table";
import type { GridColumn } from "./gridColumn";
import { Hint } from "./Hint";

/** How a grid is sorted, and who is told that it shall be sorted otherwise. */
export const SortContext = createContext<{ sort: Sort | null; onSort: (sort: Sort | null) => void }>({
  sort: null,
  onSort: () => undefined,
});

/**
 * A header that sorts on a click or Enter: one way, the other way, not at all. Its question mark, or the “?” key,
 * explains the column.
 */
export function GridHeader({ eGridHeader, of }: IHeaderParams & { of: GridColumn }) {
  const { sort, onSort } = useContext(SortContext);
  const own = sort?.key === of.key ? sort : null;
  const sortable = of.sortable ?? true;
  const progress = () => onSort(next(of, own));
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (sortable) eGridHeader.setAttribute("aria-sort", own ? (own.descending ? "descending" : "ascending") : "none");
    const onKey = (event: KeyboardEvent) => {
      if (event.target !== eGridHeader) return;
      if (event.key === "Enter" && sortable) progress();
      if (event.key === "?") place.current?.querySelector("button")?.focus();
    };
    eGridHeader.addEventListener("keydown", onKey);
    return () => eGridHeader.removeEventListener("keydown", onKey);
  });
  const hint = of.hint && (
    <span ref={place} className="grid-hint">
      <Hint hint={of.hint} name={`What “${of.title}” means`} className="hint-mark">
        ?
      </Hint>
    </span>
  );
  if (!sortable)
    return (
      <span className="grid-head-place">
        <span className="grid-head">{of.title}</span>
        {hint}
      </span>
    );
  return (
    <span className="grid-head-place">
      <button type="button" tabIndex={-1} className={`grid-head${own ? " sorted" : ""}`} onClick={progress}>
        <span>{of.title}</span>
        {own && <span aria-hidden="true">{own.descending ? "↓" : "↑"}</span>}
      </button>
      {hint}
    </span>
  );
}

function next(column: GridColumn, sort: Sort | null): Sort | null {
  const first = column.largestFirst ?? false;
  if (!sort) return { key: column.key, descending: first };
  return sort.descending === first ? { key: column.key, descending: !first } : null;
}
