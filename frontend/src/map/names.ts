/** Names of themes on the map: where they stand, and which have room. */
import { numbers, type Table } from "../data/table";
import type { Theme } from "../data/types";
import { quantile } from "./colouring";

export interface Name {
  id: number;
  text: string;
  x: number;
  y: number;
  members: number;
}

/** The names whose theme has members among the rows, those with most first. */
export function present(all: Name[], of: ArrayLike<number>, rows: Uint32Array): Name[] {
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(of[row]!, (counts.get(of[row]!) ?? 0) + 1);
  return all.filter(({ id }) => counts.has(id)).sort((a, b) => counts.get(b.id)! - counts.get(a.id)! || a.id - b.id);
}

/** The middle of each theme's (subtheme's) concepts: the median, for which strays do not matter. Largest first. */
export function names(
  level: Theme["level"],
  themes: Theme[],
  table: Table,
  on: Uint32Array,
  shown: (name: string | null, id: number) => string,
): Name[] {
  const of = numbers(table, level);
  const x = numbers(table, "x");
  const y = numbers(table, "y");
  const members = new Map<number, number[]>();
  for (const row of on) {
    const id = of[row]!;
    if (Number.isNaN(id)) continue;
    const list = members.get(id);
    if (list) list.push(row);
    else members.set(id, [row]);
  }
  return themes
    .filter((theme) => theme.level === level && members.has(theme.id))
    .map((theme): Name => {
      const rows = members.get(theme.id)!;
      return {
        id: theme.id,
        text: shown(theme.name, theme.id),
        members: rows.length,
        x: quantile(
          Float64Array.from(rows, (row) => x[row]!),
          0.5,
        ),
        y: quantile(
          Float64Array.from(rows, (row) => y[row]!),
          0.5,
        ),
      };
    })
    .sort((a, b) => b.members - a.members || a.id - b.id);
}

/** Letters of a line of a name, about. */
const LINE = 22;

/** A name in lines of about equal length, whole. */
export function lines(text: string): string[] {
  const words = text.split(/\s+/);
  const most = Math.max(LINE, text.length / 4, ...words.map((word) => word.length));
  const texts: string[] = [];
  for (const word of words) {
    const last = texts.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) texts[texts.length - 1] = `${last} ${word}`;
    else texts.push(word);
  }
  return texts;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Indices of the boxes, given by their middle, that can stand without touching an earlier one. */
export function roomy(boxes: Box[], most: number): number[] {
  const kept: number[] = [];
  for (let i = 0; i < boxes.length && kept.length < most; i++) {
    if (!kept.some((other) => touch(boxes[i]!, boxes[other]!))) kept.push(i);
  }
  return kept;
}

function touch(a: Box, b: Box): boolean {
  return Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2;
}
