/** An answer cut at its numbers. */
import type { AnswerEvent } from "./turn";

export interface Piece {
  text: string;
  /** The query that a number comes from; null: a number from none; undefined: no number. */
  query?: number | null;
}

/** The pieces of an answer in order; numbers whose place cannot be are left as text. */
export function piecesOf({ text, numbers }: Pick<AnswerEvent, "text" | "numbers">): Piece[] {
  const pieces: Piece[] = [];
  let place = 0;
  for (const { start, end, query } of numbers) {
    if (start < place || end <= start || end > text.length) continue;
    if (start > place) pieces.push({ text: text.slice(place, start) });
    pieces.push({ text: text.slice(start, end), query });
    place = end;
  }
  if (place < text.length) pieces.push({ text: text.slice(place) });
  return pieces;
}
