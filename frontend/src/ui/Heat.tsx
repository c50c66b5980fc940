/** Heat maps and their colour scales. */
import type { CSSProperties, KeyboardEvent, ReactNode } from "react";
import { inkOn } from "./colours";
import "./heat.css";

/** A colour scale with a label at each end. */
export function HeatBar({ low, stops, high }: { low: string; stops: string[]; high: string }) {
  return (
    <>
      {low}{" "}
      <span
        className="heat-bar"
        aria-hidden="true"
        style={{ backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})` }}
      />{" "}
      {high}
    </>
  );
}

interface Cell {
  text: string;
  /** Tooltip and text for screen readers. */
  words: string;
  colour: string | null;
  /** Outlined, and the cell that Tab focuses. */
  current?: boolean;
  className?: string;
  status?: string;
}

interface HeatTableProps {
  label: string;
  testId: string;
  rows: ReactNode[];
  columns: { name: ReactNode; title?: string; sort?: "ascending" | "descending" | "none" }[];
  corner?: string;
  className?: string;
  /** Null: the cell is empty. */
  cell: (i: number, j: number) => Cell | null;
  onChoose: (i: number, j: number) => void;
}

/** A heat map of buttons. Arrow keys move from cell to cell. */
export function HeatTable({ label, testId, rows, columns, corner, className = "", cell, onChoose }: HeatTableProps) {
  const all = rows.map((_, i) => columns.map((_, j) => cell(i, j)));
  const first = all.flat().some((shown) => shown?.current) ? null : "0/0";
  return (
    <div className="heat-frame" role="region" tabIndex={0} aria-label={label}>
      <table className={`heat ${className}`} data-testid={testId} onKeyDown={moveCell}>
        <thead>
          <tr>
            {corner ? <th scope="col">{corner}</th> : <td />}
            {columns.map(({ name, title, sort }, j) => (
              <th key={j} scope="col" title={title} aria-sort={sort}>
                <span>{name}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row">{row}</th>
              {all[i]!.map((shown, j) => (
                <td key={j}>
                  {shown ? (
                    <button
                      type="button"
                      data-cell={`${i}/${j}`}
                      data-status={shown.status}
                      tabIndex={shown.current || first === `${i}/${j}` ? 0 : -1}
                      aria-current={shown.current ? "true" : undefined}
                      className={shown.current ? "chosen-cell" : shown.className}
                      style={shown.colour === null ? undefined : painted(shown.colour)}
                      aria-label={shown.words}
                      title={shown.words}
                      onClick={() => onChoose(i, j)}
                    >
                      {shown.text}
                    </button>
                  ) : (
                    <span className="heat-self" aria-hidden="true" />
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A background colour with readable text. */
const painted = (background: string): CSSProperties => ({ background, color: inkOn(background) });

const MOVES: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Focus the next button in the direction of an arrow key, skipping an empty cell. */
function moveCell(event: KeyboardEvent<HTMLTableElement>): void {
  const move = MOVES[event.key];
  const from = event.target instanceof HTMLElement ? event.target.dataset.cell : undefined;
  if (!move || !from) return;
  event.preventDefault();
  const [i, j] = from.split("/").map(Number) as [number, number];
  for (const step of [1, 2]) {
    const next = event.currentTarget.querySelector<HTMLElement>(
      `[data-cell="${i + step * move[0]}/${j + step * move[1]}"]`,
    );
    if (next) {
      next.focus();
      return;
    }
  }
}
