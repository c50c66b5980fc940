import type { CSSProperties, ReactNode } from "react";

/** One column of a grid. `row` is always a row of the table, never its place in the order. */
export interface GridColumn {
  /** Unique, and what `onSort` names. */
  key: string;
  title: string;
  /** What the quantity is, shown at the header. */
  hint?: string;
  /** What a cell says. N/A is drawn faint. */
  text: (row: number) => string;
  /** Drawn instead of the text. */
  show?: (row: number) => ReactNode;
  /** Colours of a cell. */
  style?: (row: number) => CSSProperties | undefined;
  /** Numbers stand at the end. */
  align?: "start" | "end";
  width?: number;
  /** Takes its part of the room that is left over. */
  flex?: number;
  pinned?: boolean;
  /** Takes the room that the others leave; `width` is the least it has. */
  fill?: boolean;
  sortable?: boolean;
  /** The first click on the header sorts the largest to the top. */
  largestFirst?: boolean;
}
