/** Conversations, one per run; they outlive the view, so that an answer goes on arriving meanwhile. */
import { useSyncExternalStore } from "react";
import { characters } from "../data/characters";
import { source } from "../data/source";
import type { AnswerEvent, ChatEvent, ChatRequest, QueryEvent } from "../data/types";

export interface Turn {
  id: number;
  question: string;
  queries: QueryEvent[];
  /** Null: none yet, or it failed. */
  answer: AnswerEvent | null;
  error: string | null;
}
export interface Conversation {
  turns: Turn[];
  /** Whether the last turn is being answered. */
  running: boolean;
}

/** Most earlier messages that are sent; the server passes on no more. */
const EARLIER = 11;
const EMPTY: Conversation = { turns: [], running: false };
const conversations = new Map<string, Conversation>();
const stops = new Map<string, AbortController>();
const listeners = new Set<() => void>();
let lastId = 0;

function set(key: string, conversation: Conversation): void {
  conversations.set(key, conversation);
  for (const listener of listeners) listener();
}

const get = (key: string) => conversations.get(key) ?? EMPTY;

/** The conversation about a run. */
export function useConversation(key: string): Conversation {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => get(key),
  );
}

/** Asks a question about a run; does nothing while another is being answered. */
export async function ask(key: string, question: string): Promise<void> {
  const before = get(key);
  if (!source.chat || before.running) return;
  const stop = new AbortController();
  stops.set(key, stop);
  let turn: Turn = { id: ++lastId, question, queries: [], answer: null, error: null };
  const show = (running: boolean) => set(key, { turns: [...before.turns, turn], running });
  show(true);
  try {
    for await (const event of source.chat({ run: key, messages: messagesOf(before.turns, question) }, stop.signal)) {
      turn = withEvent(turn, event);
      show(true);
    }
    if (!turn.answer && !turn.error) throw new Error("The answer stopped before its end. Ask again.");
  } catch (error) {
    turn = {
      ...turn,
      error: stop.signal.aborted ? "Stopped." : error instanceof Error ? error.message : String(error),
    };
  }
  stops.delete(key);
  show(false);
}

/** Stops the answer that is arriving. */
export const stop = (key: string) => stops.get(key)?.abort();

/** Begins anew: the model is sent nothing of what was said before. */
export function forget(key: string): void {
  if (!get(key).running) set(key, EMPTY);
}

/** What the model is sent: earlier questions that were answered, their answers, and the new question. */
export function messagesOf(turns: Turn[], question: string): ChatRequest["messages"] {
  const messages = turns.flatMap((turn): ChatRequest["messages"] =>
    turn.answer
      ? [
          { role: "user", content: turn.question },
          { role: "assistant", content: turn.answer.text },
        ]
      : [],
  );
  return [...messages.slice(-EARLIER), { role: "user", content: question }];
}

function withEvent(turn: Turn, event: ChatEvent): Turn {
  if (event.type === "query") return { ...turn, queries: [...turn.queries, event] };
  return event.type === "answer" ? { ...turn, answer: event } : { ...turn, error: event.text };
}

export interface Piece {
  text: string;
  /** The query that a number comes from; null: a number from none; undefined: no number. */
  query?: number | null;
}

/** The pieces of an answer in order, cut at its numbers, whose places count code points. */
export function piecesOf({ text, numbers }: Pick<AnswerEvent, "text" | "numbers">): Piece[] {
  const whole = characters(text);
  const pieces: Piece[] = [];
  let place = 0;
  for (const { start, end, query } of numbers) {
    pieces.push({ text: whole.slice(place, start) }, { text: whole.slice(start, end), query });
    place = end;
  }
  return [...pieces, { text: whole.slice(place, whole.length) }].filter((piece) => piece.text);
}
