/** One question of a conversation with what came of it. */
import type { AnswerEvent, ChatEvent, ChatRequest, QueryEvent } from "../data/types";

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
  const told = turns.flatMap((turn): ChatRequest["messages"] =>
    turn.answer
      ? [
          { role: "user", content: turn.question },
          { role: "assistant", content: turn.answer.text },
        ]
      : [],
  );
  return [...told.slice(-TOLD), { role: "user", content: question }];
}

/** The turn after something arrived. */
export function withEvent(turn: Turn, event: ChatEvent): Turn {
  if (event.type === "query") return { ...turn, queries: [...turn.queries, event] };
  return event.type === "answer" ? { ...turn, answer: event } : { ...turn, error: event.text };
}
