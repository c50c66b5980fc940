/** What two runs were made with: where that differs, differences between their concepts need not be the model's. */
import { outcomeWords } from "../app/family";
import type { BenchmarkSummary, RunInfo } from "../data/types";
import { decimal, integer, percent } from "../format";

/** One setting and its value in either run. */
export interface Difference {
  name: string;
  a: string;
  b: string;
}

/** Facts of the run card that change numbers. The model and the SAE are told by their names. */
const FACTS = ["Hook", "Span", "Pooling", "Definitions", "Reference"];
/** Settings that change no number, or that are told in other words. */
const TOLD = [
  "out",
  "batch_tokens",
  "keep_token_activations",
  "span",
  "pooling",
  "paper",
  "reference",
  "benchmarks",
  "model.name",
  "model.tokenizer",
  "model.device",
  "model.device_map",
  "model.trust_remote_code",
  "sae.release",
  "sae.id",
  "sae.folder",
  "sae.dictionary",
  "sae.force",
  "sae.gate_tokens",
  "evidence.min_n_eff",
  "evidence.q",
  "evidence.level",
  "evidence.min_gap",
  "evidence.strata",
];

const NONE = "none";

/** Settings that differ, what matters most first. */
export function differences(first: RunInfo, second: RunInfo): Difference[] {
  const card = (run: RunInfo, name: string) => run.card.find((line) => line.name === name)?.value ?? NONE;
  const sides = (name: string, of: (run: RunInfo) => string): Difference => ({ name, a: of(first), b: of(second) });
  const results = [
    sides("model that was scored", (run) => run.scored.model),
    sides("scores are taken", (run) => outcomeWords(run)),
    sides("model that reads the items", (run) => run.scored.reader),
    ...(first.scored.reader === second.scored.reader ? [sides("its weights", (run) => card(run, "Weights"))] : []),
    sides("SAE", (run) => run.sae),
    ...(first.sae === second.sae ? [sides("the SAE’s weights", (run) => run.sae_sha256?.slice(0, 16) ?? NONE)] : []),
    ...FACTS.map((fact) => sides(fact.toLowerCase(), (run) => card(run, fact))),
    sides("verdicts on coverage", (run) => (run.has.lift ? "by lift" : "by tenths")),
    sides("smallest n_eff for a test", (run) => decimal(run.evidence.min_n_eff, 0)),
    sides("false-discovery rate", (run) => percent(run.evidence.q, 1)),
    sides("smallest gap that counts", (run) => decimal(run.evidence.min_gap, 3)),
    sides("items are compared", (run) => run.evidence.alike || "within their benchmarks"),
    sides("level of intervals", (run) => percent(run.evidence.level, 1)),
    ...benchmarks(first, second),
    ...settings(first, second),
  ];
  return results.filter(({ a, b }) => a !== b);
}

function benchmarks(first: RunInfo, second: RunInfo): Difference[] {
  const pairs = first.benchmarks.flatMap((a) => {
    const b = second.benchmarks.find((benchmark) => benchmark.name === a.name);
    return b ? [{ name: a.name, a, b }] : [];
  });
  const alone = (run: RunInfo) => run.benchmarks.length - pairs.length;
  const rest =
    alone(first) + alone(second) === 0
      ? []
      : [{ name: "benchmarks", a: `${integer(alone(first))} in A only`, b: `${integer(alone(second))} in B only` }];
  type Pair = (typeof pairs)[number];
  const each = (what: string, of: (benchmark: BenchmarkSummary) => string, chosen: Pair[] = pairs) =>
    chosen.map(({ name, a, b }) => ({ name: `${what} ${name}`, a: of(a), b: of(b) }));
  // Where items differ, so do those scored: once is enough.
  const sameItems = pairs.filter(({ a, b }) => a.kept === b.kept);
  return [
    ...rest,
    ...each("items of", (benchmark) => integer(benchmark.kept)),
    ...each("scored items of", (benchmark) => integer(benchmark.scored), sameItems),
    ...each("scoring of", (benchmark) => benchmark.policy),
  ];
}

/** A run that was made from Python, or a redacted one, does not tell all settings: only what both tell is compared. */
function settings(first: RunInfo, second: RunInfo): Difference[] {
  const theirs = new Map(second.settings);
  const own = first.settings
    .filter(([key]) => !TOLD.includes(key) && theirs.has(key))
    .map(([name, a]) => ({ name, a, b: theirs.get(name)! }));
  const asked = new Map(first.settings).get("benchmarks");
  const other = theirs.get("benchmarks");
  // They are long lists: that they differ is enough.
  return asked !== undefined && other !== undefined && asked !== other
    ? [...own, { name: "settings of the benchmarks", a: "", b: "other" }]
    : own;
}
