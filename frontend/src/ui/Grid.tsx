import { useComputedColorScheme } from "@mantine/core";
import {
  type CellClassParams, type ColDef, ColumnApiModule, CellStyleModule, type GridApi, type GridReadyEvent, type ICellRendererParams, type IDatasource,
  InfiniteRowModelModule, ModuleRegistry, RowApiModule, RowStyleModule, ScrollApiModule, type SortChangedEvent, TooltipModule, type ValueGetterParams, RenderApiModule,
} from "ag-grid-community";
import { AgGridReact } from "ag-grid-react";
import { type CSSProperties, type ReactNode, useCallback, useEffect, useMemo, useRef } from "react";
import type { Sort } from "../data/table";
import { NOT_DEFINED } from "../format";
import "./grid.css";

ModuleRegistry.registerModules([
  InfiniteRowModelModule, ColumnApiModule, RowApiModule, ScrollApiModule, RenderApiModule, CellStyleModule, RowStyleModule, TooltipModule,
]);

/** One column of a grid. `row` is always a row of the table, never its place in the order. */
export interface GridColumn {
  /** Unique, and what `onSort` names. */
  key: string;
  title: string;
  /** What the quantity is, shown at the header. */
  hint?: string;
  /** What a cell says; `show` and `style` are drawn from the row instead of this. N/A is drawn faint. */
  text: (row: number) => string;
  /** A cell that is more than its text. */
  show?: (row: number) => ReactNode;
  /** Colours of a cell. */
  style?: (row: number) => CSSProperties | undefined;
  /** Numbers stand at the end. */
  align?: "start" | "end";
  width?: number;
  /** Takes its part of the room that is left over. */
  flex?: number;
  pinned?: boolean;
  sortable?: boolean;
  /** The first click on the header sorts the largest to the top. */
  largestFirst?: boolean;
}

interface GridProps {
  columns: GridColumn[];
  /** Rows of the table in the order in which they are shown. */
  order: Uint32Array;
  sort: Sort | null;
  onSort: (sort: Sort | null) => void;
  onOpen: (row: number) => void;
  /** Row that is open beside the grid. */
  opened: number | null;
  label: string;
  testId: string;
  /** What stands there where `order` is empty. */
  empty: ReactNode;
  rowHeight?: number;
}

interface Data {
  row: number;
}

/** What AG Grid's callbacks read; they are made once and outlive a change of properties. */
interface Latest {
  order: Uint32Array;
  opened: number | null;
  onSort: GridProps["onSort"];
  onOpen: GridProps["onOpen"];
}

/** A virtualised table over an order of rows. Click or Enter opens a row, arrow keys move, headers sort. */
export function Grid({ columns, order, sort, onSort, onOpen, opened, label, testId, empty, rowHeight = 36 }: GridProps) {
  const dark = useComputedColorScheme("light") === "dark";
  const api = useRef<GridApi<Data> | null>(null);
  const latest = useRef<Latest>({ order, opened, onSort, onOpen });
  latest.current.onSort = onSort;
  latest.current.onOpen = onOpen;

  const definitions = useMemo(() => columns.map(definition), [columns]);
  useEffect(() => api.current?.refreshCells({ force: true, suppressFlash: true }), [definitions]);

  useEffect(() => {
    if (latest.current.order === order) return;
    const other = latest.current.order.length !== order.length;
    latest.current.order = order;
    if (!api.current) return;
    api.current.setRowCount(order.length, true);
    api.current.refreshInfiniteCache();
    if (other && order.length) api.current.ensureIndexVisible(0, "top");
  }, [order]);

  useEffect(() => {
    const before = latest.current.opened;
    latest.current.opened = opened;
    for (const node of api.current?.getRenderedNodes() ?? []) {
      // New data make the grid ask again for the row's classes.
      if (node.data && (node.data.row === before || node.data.row === opened)) node.setData({ ...node.data });
    }
  }, [opened]);

  const showSort = useCallback(() => {
    const state = sort ? [{ colId: sort.key, sort: sort.descending ? ("desc" as const) : ("asc" as const) }] : [];
    api.current?.applyColumnState({ state, defaultState: { sort: null } });
  }, [sort?.key, sort?.descending]);
  useEffect(showSort, [showSort, definitions]);

  const source = useMemo<IDatasource>(() => ({
    getRows: ({ startRow, endRow, successCallback }) => {
      const all = latest.current.order;
      successCallback(Array.from(all.subarray(startRow, endRow), (row): Data => ({ row })), all.length);
    },
  }), []);

  const onReady = (event: GridReadyEvent<Data>) => {
    api.current = event.api;
    showSort();
  };
  return (
    <section className={`grid ${dark ? "ag-theme-quartz-dark" : "ag-theme-quartz"}`} aria-label={label} data-testid={testId} data-rows={order.length}>
      <AgGridReact<Data>
        theme="legacy"
        rowModelType="infinite"
        datasource={source}
        columnDefs={definitions}
        rowHeight={rowHeight}
        headerHeight={38}
        cacheBlockSize={200}
        maxBlocksInCache={20}
        infiniteInitialRowCount={order.length}
        rowBuffer={8}
        suppressMultiSort
        suppressMovableColumns
        suppressColumnVirtualisation={columns.length < 16}
        ensureDomOrder
        enableCellTextSelection
        animateRows={false}
        tooltipShowDelay={300}
        rowClassRules={{ opened: ({ data }) => data !== undefined && data.row === latest.current.opened }}
        onGridReady={onReady}
        onSortChanged={(event) => event.source === "uiColumnSorted" && latest.current.onSort(sortOf(event))}
        onRowClicked={({ data }) => data && !getSelection()?.toString() && latest.current.onOpen(data.row)}
        onCellKeyDown={({ data, event }) => {
          if (data && event instanceof KeyboardEvent && event.key === "Enter") latest.current.onOpen(data.row);
        }}
      />
      {order.length === 0 && <div className="grid-empty">{empty}</div>}
    </section>
  );
}

function sortOf(event: SortChangedEvent<Data>): Sort | null {
  const state = event.api.getColumnState().find((one) => one.sort);
  return state ? { key: state.colId, descending: state.sort === "desc" } : null;
}

function definition(column: GridColumn): ColDef<Data> {
  const { show, style } = column;
  const end = column.align === "end";
  return {
    colId: column.key,
    headerName: column.title,
    headerTooltip: column.hint,
    headerClass: end ? "ag-right-aligned-header" : undefined,
    initialWidth: column.width ?? 110,
    minWidth: Math.min(column.width ?? 70, 70),
    flex: column.flex,
    pinned: column.pinned ? "left" : null,
    sortable: column.sortable ?? true,
    sortingOrder: column.largestFirst ? ["desc", "asc", null] : ["asc", "desc", null],
    resizable: true,
    valueGetter: ({ data }: ValueGetterParams<Data>) => (data ? column.text(data.row) : ""),
    cellClass: ({ value }: CellClassParams<Data>) => [end ? "end" : "start", value === NOT_DEFINED ? "na" : ""],
    cellRenderer: show ? ({ data }: ICellRendererParams<Data>) => (data ? show(data.row) : null) : undefined,
    cellStyle: style ? ({ data }) => (data ? { backgroundColor: "", color: "", ...style(data.row) } as Record<string, string> : null) : undefined,
  };
}
