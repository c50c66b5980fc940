/** Answers of all models to an item, side by side. */
import type { ItemDetail } from "../data/types";

/** Longer responses are taken for reasoning, not for an answer, and are not compared. */
const MAX_CHARACTERS = 80;

interface SameAnswer {
  /** Null: not known, or too long to be compared. */
  text: string | null;
  score: number | null;
  /** Indices into `RunInfo.models`. */
  models: number[];
}

/** Group models by answer and score: correct answers first, then the most common. */
export function answersOf({ models }: Pick<ItemDetail, "models">): SameAnswer[] {
  const groups = new Map<string, SameAnswer>();
  models.forEach(({ score, response }, model) => {
    const text = response !== null && response.length <= MAX_CHARACTERS ? response.trim() : null;
    const key = JSON.stringify([text, score]);
    const group = groups.get(key) ?? { text, score, models: [] };
    groups.set(key, { ...group, models: [...group.models, model] });
  });
  return [...groups.values()].sort((a, b) => (b.score ?? -1) - (a.score ?? -1) || b.models.length - a.models.length);
}
