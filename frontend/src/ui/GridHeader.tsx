import type { IHeaderParams } from "ag-grid-community";
import { createContext, useContext, useEffect } from "react";
import type { Sort } from "../data/table";
import type { GridColumn } from "./Grid";

/** How a grid is sorted, and who is told that it shall be sorted otherwise. */
export const SortContext = createContext<{ sort: Sort | null; onSort: (sort: Sort | null) => void }>({ sort: null, onSort: () => undefined });

/** A header that sorts at a click, or at Enter while it has the grid's focus: one way, the other way, not at all. */
export function GridHeader({ eGridHeader, of }: IHeaderParams & { of: GridColumn }) {
  const { sort, onSort } = useContext(SortContext);
  const own = sort?.key === of.key ? sort : null;
  const sortable = of.sortable ?? true;
  const progress = () => onSort(next(of, own));
  useEffect(() => {
    if (!sortable) return;
    eGridHeader.setAttribute("aria-sort", own ? (own.descending ? "descending" : "ascending") : "none");
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Enter" && event.target === eGridHeader) progress();
    };
    eGridHeader.addEventListener("keydown", onKey);
    return () => eGridHeader.removeEventListener("keydown", onKey);
  });
  if (!sortable) return <span className="grid-head">{of.title}</span>;
  return (
    <button type="button" tabIndex={-1} className={`grid-head${own ? " sorted" : ""}`} onClick={progress}>
      <span>{of.title}</span>
      {own && <span aria-hidden="true">{own.descending ? "↓" : "↑"}</span>}
    </button>
  );
}

function next(column: GridColumn, sort: Sort | null): Sort | null {
  const first = column.largestFirst ?? false;
  if (!sort) return { key: column.key, descending: first };
  return sort.descending === first ? { key: column.key, descending: !first } : null;
}
