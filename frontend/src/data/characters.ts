/** Character ranges of the run count code points; a JavaScript string counts UTF-16 units. */

export interface Characters {
  length: number;
  slice(start: number, end: number): string;
}

/** A text that is cut by code points. */
export function characters(text: string): Characters {
  // Without surrogates both counts are the same, and a text of a megabyte need not be taken apart.
  if (!/[\ud800-\udfff]/.test(text)) return text;
  const points = Array.from(text);
  return { length: points.length, slice: (start, end) => points.slice(start, end).join("") };
}

/** A piece of a text, with the activation of the token that it is; null: of none. */
export interface Piece {
  text: string;
  activation: number | null;
  peak: boolean;
}

/**
 * A part of a text as pieces. `marks` are ranges with activations, in any order; where they overlap, the first in the
 * text wins, and ranges that extend beyond the part are cut.
 */
export function pieces(
  text: Characters,
  from: number,
  to: number,
  marks: [number, number, number][],
  peak: [number, number] | null,
): Piece[] {
  const all =
    peak && !marks.some(([start]) => start === peak[0])
      ? [...marks, [peak[0], peak[1], NaN] as [number, number, number]]
      : marks;
  const list: Piece[] = [];
  let at = from;
  for (const [first, last, activation] of [...all].sort((a, b) => a[0] - b[0])) {
    const [start, end] = [Math.max(from, first), Math.min(to, last)];
    if (start < at || end <= start) continue;
    if (start > at) list.push({ text: text.slice(at, start), activation: null, peak: false });
    list.push({ text: text.slice(start, end), activation, peak: peak !== null && first === peak[0] });
    at = end;
  }
  if (at < to) list.push({ text: text.slice(at, to), activation: null, peak: false });
  return list;
}

/** A window of at most `room` characters around a place; null: from the beginning. */
export function windowAround(length: number, centre: number | null, room: number): [number, number] {
  if (length <= room) return [0, length];
  const start = Math.max(0, Math.min((centre ?? 0) - Math.floor(room * 0.6), length - room));
  return [centre === null ? 0 : start, (centre === null ? 0 : start) + room];
}
