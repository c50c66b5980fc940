/** Models against themes or groups of concepts: where a cell leads, and what it says. */
import { familyOf } from "../app/family";
import type { ListedRun, Matrix, MatrixCell, MatrixColumn } from "../data/types";
import { plural, probability, tenths } from "../format";
import { visible } from "../text";
import { points } from "./paired";

/** Half of the scale: nearly all gaps lie within; at least 0.05. */
export function reachOf(matrix: Matrix): number {
  const sizes = matrix.cells
    .flat()
    .flatMap(({ gap, status }) => (gap === null || status === "insufficient" ? [] : [Math.abs(gap)]))
    .sort((a, b) => a - b);
  return Math.max(0.05, sizes[Math.floor(0.95 * (sizes.length - 1))] ?? 0);
}

/** A cell in words; `names` are its model and its column. */
export function cellWords(names: [string, string], cell: MatrixCell): string {
  if (cell.status === "insufficient" || cell.gap === null)
    return `${names.join(", ")}: not tested, too few items (n_eff ${tenths(cell.n_eff)})`;
  return (
    `${names.join(", ")}: gap ${points(cell.gap)} points [${points(cell.gap_low)}, ${points(cell.gap_high)}], ` +
    `q ${probability(cell.q_value)}, n_eff ${tenths(cell.n_eff)}, ${cell.status}`
  );
}

/** The run of the family that shows a model in one way; null: it was not made yet. */
export function madeRun(model: string, kind: Matrix["kind"], key: string, runs: ListedRun[]): ListedRun | null {
  return familyOf(key, runs).find(({ scored }) => scored.model === model && scored.kind === kind) ?? null;
}

/** The command that makes what is missing. */
export const makeCommand = (command: string, kind: Matrix["kind"]): string =>
  kind === "peers" ? `${command} --against peers` : command;

/** A model's cells with their columns, the lowest gap first, those without one last; null: the model is not there. */
export function profileOf(matrix: Matrix, model: number) {
  const row = matrix.models.indexOf(model);
  if (row < 0) return null;
  return matrix.columns
    .map((column, place) => ({ column, cell: matrix.cells[row]![place]! }))
    .sort(({ cell: a }, { cell: b }) => Number(a.gap === null) - Number(b.gap === null) || (a.gap ?? 0) - (b.gap ?? 0));
}

export const columnWords = ({ id, name, concepts }: MatrixColumn): string =>
  name ? visible(name) : `${concepts ? "concept" : "theme"} ${id}`;

/** The same in full: with the number of concepts that share a group's items. */
export const columnTitle = (column: MatrixColumn): string =>
  column.concepts > 1
    ? `${columnWords(column)}, and ${plural(column.concepts - 1, "concept")} that share its items`
    : columnWords(column);

/** What a column leads to in the table of concepts. */
export const columnParams = ({ id, concepts }: MatrixColumn): Record<string, number> =>
  concepts ? { concept: id } : { theme: id };
