import { useComputedColorScheme } from "@mantine/core";
import {
  CellStyleModule,
  type ColDef,
  ColumnApiModule,
  type GridApi,
  type GridOptions,
  type IDatasource,
  InfiniteRowModelModule,
  type IRowNode,
  ModuleRegistry,
  RenderApiModule,
  RowApiModule,
  ScrollApiModule,
  TooltipModule,
} from "ag-grid-community";
import { AgGridReact } from "ag-grid-react";
import { type ReactNode, useEffect, useMemo, useRef } from "react";
import { go } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { pageHas } from "../data/hooks";
import type { Sort } from "../data/table";
import { writeSort } from "../data/table";
import { NOT_DEFINED } from "../format";
import "./grid.css";

ModuleRegistry.registerModules([
  InfiniteRowModelModule,
  ColumnApiModule,
  RowApiModule,
  ScrollApiModule,
  RenderApiModule,
  CellStyleModule,
  TooltipModule,
]);

/** A column of a grid. `row` is always a row of the table, never its position in the order. */
export interface GridColumn {
  /** Unique; `sort=` in the address names it. */
  key: string;
  title: string;
  /** What the quantity is, shown at the header. */
  hint?: string;
  /** Text of a cell; N/A is faint. */
  text: (row: number) => string;
  /** Drawn instead of the text. */
  show?: (row: number) => ReactNode;
  /** Numbers are aligned to the right. */
  numeric?: boolean;
  /** In pixels; the minimum where `flex` is set. */
  width?: number;
  /** Fills the remaining width. */
  flex?: boolean;
  pinned?: boolean;
  sortable?: boolean;
  /** The first click on the header sorts the largest to the top. */
  largestFirst?: boolean;
}

interface GridProps {
  /** What a row stands for; a click opens its panel if this page includes it. */
  kind: "concept" | "item";
  columns: GridColumn[];
  /** Rows of the table, in display order. */
  order: Uint32Array;
  sort: Sort | null;
  /** Rows for the current address are still being computed. */
  busy: boolean;
  /** Shown where `order` is empty. */
  empty: ReactNode;
  rowHeight?: number;
}

/** AG Grid's rows are empty: a cell looks up its row when it is drawn, so a new order costs only the visible cells. */
type EmptyRow = Record<string, never>;
type Latest = { order: Uint32Array; opened: number | null };

const OPTIONS: GridOptions<EmptyRow> = {
  theme: "legacy",
  rowModelType: "infinite",
  headerHeight: 38,
  cacheBlockSize: 200,
  maxBlocksInCache: 20,
  rowBuffer: 6,
  suppressMovableColumns: true,
  suppressMultiSort: true,
  suppressOverlays: ["noRows", "loading"],
  ensureDomOrder: true,
  enableCellTextSelection: true,
  tooltipShowDelay: 300,
  // The grid is one Tab stop; arrow keys move between headers and rows.
  tabToNextCell: () => false,
  tabToNextHeader: () => false,
};

/** A virtualised table. A click or Enter opens a row, arrow keys move, headers sort; Tab enters and leaves. */
export function Grid({ kind, columns, order, sort, busy, empty, rowHeight = 36 }: GridProps) {
  const run = useRun();
  const opened = useNumberParam(kind);
  const dark = useComputedColorScheme("light") === "dark";
  const api = useRef<GridApi<EmptyRow> | null>(null);
  const latest = useRef<Latest>({ order, opened });
  const definitions = useMemo(
    () => columns.map((column) => definition(column, latest, (row) => pageHas(run, kind, row))),
    [columns, run, kind],
  );
  const sortKey = sort?.key;
  const direction = sort?.descending ? "desc" : "asc";
  useEffect(() => applySort(api.current, sortKey, direction), [sortKey, direction, definitions]);
  useEffect(() => {
    const reordered = latest.current.order !== order;
    latest.current = { order, opened };
    if (!api.current) return;
    if (reordered) {
      api.current.setRowCount(order.length, true);
      if (order.length) api.current.ensureIndexVisible(0, "top");
    }
    api.current.refreshCells({ force: true, suppressFlash: true });
  }, [order, opened, definitions]);
  const source = useMemo<IDatasource>(
    () => ({
      getRows: ({ startRow, endRow, successCallback }) => {
        const { length } = latest.current.order;
        successCallback(new Array<EmptyRow>(Math.max(0, Math.min(endRow, length) - startRow)).fill({}), length);
      },
    }),
    [],
  );
  const open = (node: IRowNode) => {
    const row = rowAt(latest.current, node);
    if (row !== undefined && pageHas(run, kind, row))
      go({ params: kind === "concept" ? { concept: row, item: null } : { item: row } });
  };
  return (
    <section
      className={`grid ${dark ? "ag-theme-quartz-dark" : "ag-theme-quartz"}`}
      aria-label={`Table of ${kind}s`}
      aria-busy={busy}
      data-testid={`${kind}-grid`}
      data-rows={order.length}
    >
      <AgGridReact<EmptyRow>
        {...OPTIONS}
        datasource={source}
        columnDefs={definitions}
        rowHeight={rowHeight}
        infiniteInitialRowCount={order.length}
        onGridReady={(event) => {
          api.current = event.api;
          applySort(event.api, sortKey, direction);
          const index = opened === null ? -1 : order.indexOf(opened);
          if (index >= 0) event.api.ensureIndexVisible(index, "middle");
        }}
        onSortChanged={({ api, source }) => {
          if (source !== "uiColumnSorted") return;
          const sorted = api.getColumnState().find((column) => column.sort);
          const sort = sorted ? { key: sorted.colId, descending: sorted.sort === "desc" } : null;
          go({ params: { sort: writeSort(sort) } }, true);
        }}
        onRowClicked={({ node, event }) => !getSelection()?.toString() && !onLink(event) && open(node)}
        onCellKeyDown={({ node, event }) => event instanceof KeyboardEvent && event.key === "Enter" && open(node)}
      />
      {order.length === 0 && <div className="grid-empty">{empty}</div>}
    </section>
  );
}

function applySort(api: GridApi | null, colId: string | undefined, sort: "asc" | "desc"): void {
  api?.applyColumnState({ state: colId === undefined ? [] : [{ colId, sort }], defaultState: { sort: null } });
}

/** Whether the click hit a link or button, which handles it. */
const onLink = (event: Event | null | undefined) =>
  event?.target instanceof Element && event.target.closest("a, button") !== null;

/** The row at a grid position; undefined where the table has just become shorter. */
const rowAt = (latest: Latest, node: IRowNode | null): number | undefined =>
  node?.rowIndex == null ? undefined : latest.order[node.rowIndex];

function definition(
  column: GridColumn,
  latest: { current: Latest },
  opens: (row: number) => boolean,
): ColDef<EmptyRow> {
  const { show } = column;
  const at = <T,>(node: IRowNode | null, read: (row: number) => T, none: T): T => {
    const row = rowAt(latest.current, node);
    return row === undefined ? none : read(row);
  };
  return {
    colId: column.key,
    headerName: column.title,
    headerTooltip: column.hint,
    wrapHeaderText: true,
    type: column.numeric ? "rightAligned" : undefined,
    initialWidth: column.flex ? undefined : (column.width ?? 110),
    minWidth: column.flex ? (column.width ?? 180) : 60,
    flex: column.flex ? 1 : undefined,
    pinned: column.pinned ? "left" : null,
    sortable: column.sortable ?? true,
    sortingOrder: column.largestFirst ? ["desc", "asc", null] : ["asc", "desc", null],
    valueGetter: ({ node }) => at(node, column.text, ""),
    cellClassRules: {
      shut: ({ node }) => !at(node, opens, true),
      na: ({ value }) => value === NOT_DEFINED,
      opened: ({ node }) => latest.current.opened !== null && rowAt(latest.current, node) === latest.current.opened,
    },
    cellRenderer: show ? ({ node }: { node: IRowNode }) => at(node, show, null) : undefined,
  };
}
