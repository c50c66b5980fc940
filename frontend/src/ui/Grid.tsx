import { useComputedColorScheme } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import {
  type CellClassParams,
  CellStyleModule,
  type ColDef,
  ColumnApiModule,
  type GridApi,
  type GridOptions,
  type GridReadyEvent,
  type ICellRendererParams,
  type IDatasource,
  InfiniteRowModelModule,
  type IRowNode,
  ModuleRegistry,
  RenderApiModule,
  RowApiModule,
  ScrollApiModule,
  TooltipModule,
  type ValueGetterParams,
} from "ag-grid-community";
import { AgGridReact } from "ag-grid-react";
import { type ReactNode, useCallback, useEffect, useMemo, useRef } from "react";
import { readsAs, tableOf } from "../app/markdown";
import type { Sort } from "../data/table";
import { NOT_DEFINED } from "../format";
import "./grid.css";
import { GridHeader, SortContext } from "./GridHeader";
import type { GridColumn } from "./gridColumn";

ModuleRegistry.registerModules([
  InfiniteRowModelModule,
  ColumnApiModule,
  RowApiModule,
  ScrollApiModule,
  RenderApiModule,
  CellStyleModule,
  TooltipModule,
]);

interface GridProps {
  columns: GridColumn[];
  /** Rows of the table in the order in which they are shown. */
  order: Uint32Array;
  sort: Sort | null;
  onSort: (sort: Sort | null) => void;
  onOpen: (row: number) => void;
  /** Whether a row can be opened. */
  opens: (row: number) => boolean;
  /** Row that is open beside the grid. */
  opened: number | null;
  /** The rows are not yet those that the address asks for. */
  busy: boolean;
  label: string;
  testId: string;
  /** What stands there where `order` is empty. */
  empty: ReactNode;
  rowHeight?: number;
}

/** AG Grid holds places only: a cell looks up its row when it is drawn, so a new order costs only the visible cells. */
type Place = Record<string, never>;
/** Width of a column that names none, and what the borders and a scroll bar take of the grid's. */
const [USUAL, EDGES] = [110, 18];
const MOST_PINNED = 380;
/** Rows that a copy of the view has. */
const COPIED = 50;
const PLACE: Place = {};

const FIXED: GridOptions<Place> = {
  theme: "legacy",
  rowModelType: "infinite",
  headerHeight: 38,
  cacheBlockSize: 200,
  maxBlocksInCache: 20,
  rowBuffer: 6,
  suppressMovableColumns: true,
  suppressOverlays: ["noRows", "loading"],
  ensureDomOrder: true,
  enableCellTextSelection: true,
  tooltipShowDelay: 300,
  // One stop of the Tab key: arrow keys move inside, to the headers as well.
  tabToNextCell: () => false,
  tabToNextHeader: () => false,
};

/** What AG Grid's callbacks read: they are made once, and properties change. */
type Latest = Pick<GridProps, "order" | "opened" | "onOpen" | "opens">;

/** A virtualised table. A click or Enter opens a row, arrow keys move, headers sort; Tab enters and leaves. */
export function Grid({
  columns,
  order,
  sort,
  onSort,
  onOpen,
  opens,
  opened,
  busy,
  label,
  testId,
  empty,
  rowHeight = 36,
}: GridProps) {
  const dark = useComputedColorScheme("light") === "dark";
  const api = useRef<GridApi<Place> | null>(null);
  const latest = useRef<Latest>({ order, opened, onOpen, opens });
  Object.assign(latest.current, { onOpen, opens });
  const { ref: sizeRef, width: room } = useElementSize<HTMLElement>();
  const frame = useRef<HTMLElement>(null);
  const place = useMergedRef(sizeRef, frame);
  const definitions = useMemo(() => columns.map((column) => definition(column, latest.current)), [columns]);
  // Other definitions would draw all cells anew and take the focus away.
  const fill = useCallback(() => {
    const widest = columns.find((column) => column.fill);
    if (!widest || room === 0) return;
    const others = columns.reduce((sum, column) => sum + (column.fill ? 0 : (column.width ?? USUAL)), 0);
    // A pinned column that is wider than the grid, as a panel opens beside it, would leave no room for any other.
    const most = widest.pinned ? MOST_PINNED : Infinity;
    const newWidth = Math.min(most, Math.max(widest.width ?? USUAL, room - others - EDGES));
    api.current?.setColumnWidths([{ key: widest.key, newWidth }]);
  }, [columns, room]);
  useEffect(fill, [fill, definitions]);
  // Said after AG Grid has drawn, which it does later than React.
  const drawn = useCallback(() => frame.current?.setAttribute("aria-busy", String(busy)), [busy]);
  useEffect(() => {
    const reordered = latest.current.order !== order;
    Object.assign(latest.current, { order, opened });
    if (!api.current) return;
    if (reordered) {
      api.current.setRowCount(order.length, true);
      if (order.length) api.current.ensureIndexVisible(0, "top");
    }
    api.current.refreshCells({ force: true, suppressFlash: true });
    drawn();
  }, [order, opened, definitions, drawn]);
  useEffect(() => {
    const read = () => {
      const rows = Array.from(order.slice(0, COPIED), (row) => columns.map((column) => column.text(row)));
      const rest = order.length > COPIED ? `\n\n(The first ${COPIED} of ${order.length} rows.)` : "";
      return tableOf([columns.map(({ title }) => title), ...rows]) + rest;
    };
    if (frame.current) readsAs(frame.current, read);
  }, [columns, order]);
  const source = useMemo<IDatasource>(
    () => ({
      getRows: ({ startRow, endRow, successCallback }) => {
        const { length } = latest.current.order;
        successCallback(new Array<Place>(Math.max(0, Math.min(endRow, length) - startRow)).fill(PLACE), length);
      },
    }),
    [],
  );
  const sorting = useMemo(() => ({ sort, onSort }), [sort, onSort]);
  const open = (node: IRowNode) => {
    const row = rowAt(latest.current, node);
    if (row !== undefined && opens(row)) onOpen(row);
  };
  const focus = useCallback((place: number, column: string) => {
    if (!api.current || place < 0) return;
    api.current.ensureIndexVisible(place);
    api.current.setFocusedCell(place, column);
  }, []);
  // Coming in, one stands where one was, else at the open row, else at the first.
  const onEntered = useCallback(() => {
    const { order, opened } = latest.current;
    const first = api.current?.getAllDisplayedColumns()[0];
    if (!first || order.length === 0) return false;
    const before = api.current?.getFocusedCell();
    const place =
      before && before.rowIndex < order.length
        ? before.rowIndex
        : Math.max(0, opened === null ? 0 : order.indexOf(opened));
    focus(place, before?.column.getColId() ?? first.getColId());
    return true;
  }, [focus]);
  const onReady = (event: GridReadyEvent<Place>) => {
    api.current = event.api;
    fill();
    drawn();
    const place = opened === null ? -1 : order.indexOf(opened);
    if (place >= 0) event.api.ensureIndexVisible(place, "middle");
  };
  return (
    <section
      ref={place}
      className={`grid ${dark ? "ag-theme-quartz-dark" : "ag-theme-quartz"}`}
      aria-label={label}
      data-testid={testId}
      data-rows={order.length}
    >
      <SortContext value={sorting}>
        <AgGridReact<Place>
          {...FIXED}
          datasource={source}
          columnDefs={definitions}
          rowHeight={rowHeight}
          infiniteInitialRowCount={order.length}
          onGridReady={onReady}
          onRowClicked={({ node, event }) => !getSelection()?.toString() && !onLink(event) && open(node)}
          onCellKeyDown={({ node, event }) => event instanceof KeyboardEvent && event.key === "Enter" && open(node)}
          focusGridInnerElement={onEntered}
        />
      </SortContext>
      {order.length === 0 && <div className="grid-empty">{empty}</div>}
    </section>
  );
}

/** What stands in a cell and leads elsewhere does so itself. */
const onLink = (event: Event | null | undefined) =>
  event?.target instanceof Element && event.target.closest("a, button") !== null;

/** Undefined for a place that is about to go, where fewer rows are shown than before. */
const rowAt = (latest: Latest, node: IRowNode | null): number | undefined =>
  node?.rowIndex == null ? undefined : latest.order[node.rowIndex];

function definition(column: GridColumn, latest: Latest): ColDef<Place> {
  const { show, style } = column;
  const at = <T,>(node: IRowNode | null, read: (row: number) => T, none: T): T => {
    const row = rowAt(latest, node);
    return row === undefined ? none : read(row);
  };
  const end = column.align === "end";
  return {
    colId: column.key,
    headerName: column.title,
    headerComponent: GridHeader,
    headerComponentParams: { of: column },
    headerClass: end ? "end" : "start",
    initialWidth: column.width ?? USUAL,
    // What takes the room that is left over must not vanish where there is none.
    minWidth: column.flex ? 180 : 60,
    flex: column.flex,
    pinned: column.pinned ? "left" : null,
    sortable: false,
    resizable: true,
    valueGetter: ({ node }: ValueGetterParams<Place>) => at(node, column.text, ""),
    cellClass: end ? "end" : "start",
    cellClassRules: {
      shut: ({ node }) => !at(node, latest.opens, true),
      na: ({ value }: CellClassParams<Place>) => value === NOT_DEFINED,
      opened: ({ node }) => latest.opened !== null && rowAt(latest, node) === latest.opened,
    },
    cellRenderer: show ? ({ node }: ICellRendererParams<Place>) => at(node, show, null) : undefined,
    cellStyle: style
      ? ({ node }) => ({ backgroundColor: "", color: "", ...at(node, style, undefined) }) as Record<string, string>
      : undefined,
  };
}
