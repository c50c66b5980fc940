/** A conversation's parts as they are shown: a turn, its answer cut at its numbers, and the results of its queries. */
import { characters } from "../data/characters";
import type { AnswerEvent, ChatEvent, ChatRequest, QueryEvent } from "../data/types";
import { NOT_DEFINED } from "../format";
import { visible } from "../text";

export interface Turn {
  id: number;
  question: string;
  queries: QueryEvent[];
  /** Null: none yet, or it failed. */
  answer: AnswerEvent | null;
  error: string | null;
}

/** Most earlier messages that are sent; the server tells the model no more. */
const TOLD = 11;

/** What the model is told: earlier questions that were answered, their answers, and the new question. */
export function messagesOf(turns: Turn[], question: string): ChatRequest["messages"] {
  const messages = turns.flatMap((turn): ChatRequest["messages"] =>
    turn.answer
      ? [
          { role: "user", content: turn.question },
          { role: "assistant", content: turn.answer.text },
        ]
      : [],
  );
  return [...messages.slice(-TOLD), { role: "user", content: question }];
}

/** The turn after something arrived. */
export function withEvent(turn: Turn, event: ChatEvent): Turn {
  if (event.type === "query") return { ...turn, queries: [...turn.queries, event] };
  return event.type === "answer" ? { ...turn, answer: event } : { ...turn, error: event.text };
}

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

export type Row = Record<string, unknown>;
export interface Shown {
  facts: [string, unknown][];
  tables: { name: string; columns: string[]; rows: Row[] }[];
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);
const HIDDEN = "foreign_texts";

/** Facts are single values and short lists; lists of objects are tables, and so are objects. */
export function shownResult(result: unknown): Shown {
  if (!isRow(result)) return { facts: [["result", result]], tables: [] };
  const shown: Shown = { facts: [], tables: [] };
  for (const [name, value] of Object.entries(result)) {
    if (name === HIDDEN) continue;
    if (isRow(value))
      shown.facts.push(...Object.entries(value).map(([key, inner]): [string, unknown] => [`${name}: ${key}`, inner]));
    else if (Array.isArray(value) && value.length > 0 && value.every(isRow))
      shown.tables.push({ name, columns: columnsOf(value), rows: value });
    else shown.facts.push([name, value]);
  }
  return shown;
}

function columnsOf(rows: Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

/** A value in words; undefined: the row has no such field, which is shown as nothing. */
export function words(value: unknown): string {
  if (value === undefined) return "";
  if (value === null) return NOT_DEFINED;
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return visible(value);
  if (Array.isArray(value)) return value.length ? value.map(words).join(" · ") : "none";
  return visible(JSON.stringify(value));
}

/** Every digit of the result, with thousands separated. */
function number(value: number): string {
  const size = Math.abs(value);
  const text =
    Number.isInteger(value) || (size >= 1e-4 && size < 1e15)
      ? value.toLocaleString("en", { maximumFractionDigits: 9 })
      : String(value);
  return text.replace(/-/g, "−");
}

/** A field's name as people read it. */
export const title = (name: string) => visible(name).replace(/_/g, " ");
