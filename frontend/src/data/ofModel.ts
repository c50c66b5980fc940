/** Items of a run as an outcome of it shows them: nothing differs but what its model did. */
import type { ItemDetail, RunInfo } from "./types";

export function ofModel(
  { key, home, models, scored }: Pick<RunInfo, "key" | "home" | "models" | "scored">,
  item: ItemDetail,
): ItemDetail {
  if (key === home) return item;
  const answer = item.models[models.indexOf(scored.model)];
  if (!answer) throw new Error(`The run has no answers of ${scored.model}: export it again.`);
  return { ...item, ...answer, details: null, logprobs: [] };
}
