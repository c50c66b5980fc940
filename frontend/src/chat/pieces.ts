/** An answer cut at its numbers. */
import { characters } from "../data/characters";
import type { AnswerEvent } from "../data/types";

export interface Piece {
  text: string;
  /** The query that a number comes from; null: a number from none; undefined: no number. */
  query?: number | null;
}

/** The pieces of an answer in order; numbers whose place cannot be are left as text. */
export function piecesOf({ text, numbers }: Pick<AnswerEvent, "text" | "numbers">): Piece[] {
  const whole = characters(text);
  const pieces: Piece[] = [];
  let place = 0;
  for (const { start, end, query } of numbers) {
    if (start < place || end <= start || end > whole.length) continue;
    if (start > place) pieces.push({ text: whole.slice(place, start) });
    pieces.push({ text: whole.slice(start, end), query });
    place = end;
  }
  if (place < whole.length) pieces.push({ text: whole.slice(place, whole.length) });
  return pieces;
}
