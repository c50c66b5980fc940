/** One benchmark in sentences, each opening with its number, as the suite's findings do. */
import type { Face } from "../app/state";
import type { Benchmark, Finding } from "../data/types";
import { integer, meanScore, NOT_DEFINED, percent, plural } from "../format";

/** What the chosen question is about comes first. `place`: the benchmark's, for the links. */
export function benchmarkFindings(one: Benchmark, place: number, face: Face): Finding[] {
  if (one.kept === 0) {
    return [{ number: "0", sentence: `items of ${plural(one.items, "item")} are kept: this benchmark says nothing.`, tone: "", link: `items?bench=${place}` }];
  }
  const items = one.scored === one.kept ? plural(one.kept, "item") : `${plural(one.scored, "scored item")} of ${integer(one.kept)} kept`;
  const performance: Finding[] = [
    one.mean_score === null
      ? { number: NOT_DEFINED, sentence: `is its score: none of its ${plural(one.kept, "item")} has one.`, tone: "", link: `items?bench=${place}` }
      : { number: meanScore(one.mean_score), sentence: `is the mean score over its ${items}.`, tone: "", link: `items?bench=${place}` },
  ];
  if (one.tested > 0) {
    performance.push(
      verdict(one.weak, one.tested, "weak", "worse", place),
      verdict(one.strong, one.tested, "strong", "better", place),
    );
  } else if (one.mean_score !== null) {
    performance.push({ number: "0", sentence: "concepts have enough of its items to be tested within it.", tone: "", link: `concepts?bench=${place}` });
  }
  const coverage: Finding[] = one.alive === 0 ? [] : [
    {
      number: integer(one.missing), sentence: `of ${plural(one.alive, "alive concept")} (${percent(one.missing / one.alive)}) are in none of its items.`, tone: "",
      link: `concepts?face=benchmark&bench=${place}&coverage=missing&flags=all`,
    },
  ];
  return face === "model" ? [...performance, ...coverage] : [...coverage, ...performance];
}

function verdict(count: number, tested: number, tone: "weak" | "strong", than: string, place: number): Finding {
  return {
    number: integer(count), sentence: `of ${plural(tested, "concept")} tested within it ${count === 1 ? "is" : "are"} ${tone}: the model does ${than} there than on the benchmark as a whole.`,
    tone: count ? tone : "", link: count ? `concepts?face=model&bench=${place}&status=${tone}` : null,
  };
}
