/** Conversations about runs. They outlive a change of view, and an answer goes on arriving meanwhile. */
import { useSyncExternalStore } from "react";
import { source } from "../data/source";
import { messagesOf, type Turn, withEvent } from "./turn";

export interface Conversation {
  turns: Turn[];
  /** Whether the last turn is being answered. */
  running: boolean;
}

const EMPTY: Conversation = { turns: [], running: false };
const conversations = new Map<string, Conversation>();
const stops = new Map<string, AbortController>();
const listeners = new Set<() => void>();
let lastId = 0;

function set(key: string, conversation: Conversation): void {
  conversations.set(key, conversation);
  for (const listener of listeners) listener();
}

/** The conversation about a run. */
export function useConversation(key: string): Conversation {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => conversations.get(key) ?? EMPTY,
  );
}

/** Asks a question about a run; does nothing while another is being answered. */
export async function ask(key: string, question: string): Promise<void> {
  const before = conversations.get(key) ?? EMPTY;
  if (!source.chat || before.running) return;
  const stop = new AbortController();
  stops.set(key, stop);
  const turn: Turn = { id: ++lastId, question, queries: [], answer: null, error: null };
  set(key, { turns: [...before.turns, turn], running: true });
  try {
    for await (const event of source.chat({ run: key, messages: messagesOf(before.turns, question) }, stop.signal)) {
      if (stop.signal.aborted) break;
      change(key, turn.id, (now) => withEvent(now, event));
    }
    change(key, turn.id, (now) =>
      now.answer || now.error
        ? now
        : { ...now, error: stop.signal.aborted ? "Stopped." : "The answer stopped before its end. Ask again." },
    );
  } catch (error) {
    const sentence = stop.signal.aborted ? "Stopped." : error instanceof Error ? error.message : String(error);
    change(key, turn.id, (now) => ({ ...now, error: sentence }));
  } finally {
    stops.delete(key);
    set(key, { ...(conversations.get(key) ?? EMPTY), running: false });
  }
}

/** Stops the answer that is arriving. */
export function stop(key: string): void {
  stops.get(key)?.abort();
}

/** Begins anew: what was said before is not told to the model again. */
export function forget(key: string): void {
  if (!conversations.get(key)?.running) set(key, EMPTY);
}

function change(key: string, id: number, how: (turn: Turn) => Turn): void {
  const now = conversations.get(key);
  if (now) set(key, { ...now, turns: now.turns.map((turn) => (turn.id === id ? how(turn) : turn)) });
}
