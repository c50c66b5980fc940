/** Questions to begin with. */
import type { RunInfo } from "../data/types";
import { shorten, visible } from "../text";

const NAME_LIMIT = 60;

/** A few questions that this run can answer. */
export function examplesFor(run: RunInfo): string[] {
  const names = run.benchmarks.map((one) => visible(one.name)).filter((name) => name.length <= NAME_LIMIT);
  const [first, second] = names;
  return [
    "What are the most important findings, and does the other half of the items show them too?",
    "Show me failing and passing items of the first finding.",
    run.has.themes ? "Which themes are weak, and on which benchmarks?" : "Which benchmark has most weak concepts?",
    "What do the benchmarks fail to test?",
    ...(first && second
      ? [`How much do "${shorten(first, NAME_LIMIT)}" and "${shorten(second, NAME_LIMIT)}" overlap?`]
      : []),
    "What should I do next?",
  ];
}
