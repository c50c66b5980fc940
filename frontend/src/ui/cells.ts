/** Moving with the arrow keys in a table of buttons, each of which bears its row and column: `data-cell="2/5"`. */
import type { KeyboardEvent } from "react";

const MOVES: Record<string, [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Focuses the next button in the direction of an arrow key, past places without one. */
export function moveCell(event: KeyboardEvent<HTMLTableElement>): void {
  const move = MOVES[event.key];
  const cell = event.target instanceof HTMLElement ? event.target.dataset.cell : undefined;
  if (!move || !cell) return;
  event.preventDefault();
  const table = event.currentTarget;
  const [rows, columns] = [table.rows.length, table.rows[0]?.cells.length ?? 0];
  let [i, j] = cell.split("/").map(Number) as [number, number];
  for (;;) {
    i += move[0];
    j += move[1];
    if (i < 0 || j < 0 || i >= rows || j >= columns) return;
    const next = table.querySelector<HTMLElement>(`[data-cell="${i}/${j}"]`);
    if (next) {
      next.focus();
      return;
    }
  }
}
