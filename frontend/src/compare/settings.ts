/** What differs between the settings of two runs. */
import type { RunInfo } from "../data/types";
import { shorten, visible } from "../text";

/** Facts of the run card that change numbers. */
const FACTS = ["Weights", "SAE", "Hook", "Span", "Pooling", "Definitions", "Reference"];
/** Maximum number of differences to name. */
const NAMED = 12;

/** Differences between the run cards, and between settings that both runs record, in words. */
export function settingsThatDiffer(first: RunInfo, second: RunInfo): string[] {
  const lines = (run: RunInfo) =>
    new Map([
      ["model that was scored", run.scored.model],
      ...run.card.flatMap(({ name, value }): [string, string][] => (FACTS.includes(name) ? [[name, value]] : [])),
      ...run.settings.filter(([name]) => name !== "out"),
    ]);
  const others = lines(second);
  const short = (text: string) => shorten(visible(text), 60);
  const words = [...lines(first)]
    .filter(([name, value]) => others.has(name) && others.get(name) !== value)
    .map(([name, value]) => `${short(name)} (${short(value)} / ${short(others.get(name)!)})`);
  return words.length > NAMED ? [...words.slice(0, NAMED), `${words.length - NAMED} more`] : words;
}
