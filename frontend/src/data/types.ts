/** What the explorer reads. Python writes exactly this (`src/competency_gaps/explorer/parts/`); null: undefined or not known. */

/** `runs.json`: which runs are here. */
export interface RunList {
  runs: { key: string; title: string }[];
  mode: "served" | "static";
  /** Null in a static explorer, which can ask nobody. */
  chat: ChatState | null;
  /** Version of competency-gaps. */
  version: string;
}

export interface ChatState {
  configured: boolean;
  model: string | null;
  /** Host that questions and query results are sent to. */
  host: string | null;
  /** What to say where it is not configured. */
  note: string;
}

/** `data/KEY/run.json`: all that is small. */
export interface RunInfo {
  schema: 1;
  key: string;
  title: string;
  created: string;
  model: string;
  sae: string;
  /** SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal. */
  sae_sha256: string | null;
  neuronpedia_id: string | null;
  /** Number of concepts: ids are 0 to width - 1. */
  width: number;
  /** Number of items: rows are 0 to items - 1. */
  items: number;
  /** How many concepts (items) one detail part holds. */
  shards: { concepts: number; items: number };
  redacted: boolean;
  /** How many items' texts, responses or answers are cut in this export, so that a search sees only a part of them; 0 when served. */
  cut_items: number;
  has: { themes: boolean; map: boolean; tokens: boolean; lift: boolean; promoted: boolean; similar: boolean };
  counts: {
    alive: number; covered: number; missing: number; ranked: number; tested: number;
    weak: number; weak_groups: number; strong: number; strong_groups: number; insufficient: number;
  };
  evidence: { min_n_eff: number; q: number; level: number };
  /** What chi_bench is measured in. */
  unit: string;
  question: string;
  /** The same question for each face: what it is about comes first. */
  questions: { model: string; benchmark: string };
  findings: Finding[];
  /** How far to trust them: the gate, the caution about verdicts, warnings of logs. */
  cautions: { tone: "bad" | "open"; text: string }[];
  /** Outcome of `cgaps robustness`; null: not run. */
  verdicts: { test: string; sentence: string; tone: "good" | "bad" | "open" }[] | null;
  /** Outcomes of `cgaps probe concept`, newest first. */
  probes: { concept: number; label: string | null; claim: string; verdict: string; sentence: string }[];
  card: { name: string; value: string; note: string }[];
  /** Empty: redacted, or the run was made from Python. */
  command: string;
  versions: [string, string][];
  settings: [string, string][];
  benchmarks: Benchmark[];
  columns: ColumnSpec[];
  /** Matrices in the order of `benchmarks`. */
  overlap: {
    jaccard: (number | null)[][]; cosine: (number | null)[][]; spearman: (number | null)[][]; n_concepts: number[][];
  };
  /** The suite's benchmarks in the order in which each adds most concepts. */
  redundancy: { benchmark: number; adds: number; covered: number; cumulative: number }[];
  suggestions: Suggestion[];
}

export interface Finding {
  /** The figure that opens it. */
  number: string;
  sentence: string;
  tone: "" | "weak" | "strong";
  /** Where one sees it: a view with its settings, as the part of the address after the run, `concepts?status=weak`. */
  link: string | null;
}

export interface Benchmark {
  name: string;
  items: number; kept: number; excluded: number; scored: number;
  mean_score: number | null;
  covered: number; missing: number; alive: number;
  mean_span_tokens: number | null;
  tested: number; weak: number; strong: number;
  policy: string;
  scope: string | null;
  /** Of the logs and tasks that it was read from; redacted, how many there are. */
  warnings: string[];
  /** Results of the whole benchmark that its policies and judges give, in words. */
  figures: string[];
  /** Records that became no item, one entry for each reason; redacted, `where` is their number. */
  left_out: { where: string; reason: string }[];
}

/** One quantity of a concept. Its values lie in `concepts.parquet` and, if `per_benchmark`, in `concepts/K.parquet`. */
export interface ColumnSpec {
  key: string;
  title: string;
  hint: string;
  kind: "text" | "word" | "integer" | "tenths" | "decimal" | "signed" | "magnitude" | "probability" | "percent";
  /** Which question it belongs to. */
  face: "model" | "benchmark" | "both";
  /** Has `KEY_low` and `KEY_high` beside it. */
  interval: boolean;
  per_benchmark: boolean;
}

export interface Suggestion {
  kind: "missing" | "weak" | "redundant" | "robustness" | "label" | "unmeasured";
  title: string;
  reason: string;
  /** Command to run; null: nothing to run. */
  command: string | null;
  benchmark: number | null;
  theme: number | null;
  concepts: number[];
}

/** `data/KEY/themes.json`. */
export interface ThemeFile {
  themes: Theme[];
}
export interface Theme {
  level: "theme" | "subtheme";
  id: number;
  parent: number | null;
  name: string | null;
  kind: string | null;
  concepts: number; ranked: number;
  chi_bench: number | null; chi_bench_mean: number | null;
  chi_model: number | null; chi_model_low: number | null; chi_model_high: number | null;
  support: number; n_eff: number;
  gap: number | null; gap_low: number | null; gap_high: number | null;
  q_value: number | null;
  performance_status: string;
  missing_concepts: number; weak_concepts: number; strong_concepts: number; weak_groups: number;
  /** In the order of `RunInfo.benchmarks`. */
  benchmarks: {
    chi_bench: number | null; chi_model: number | null; support: number; n_eff: number;
    gap: number | null; gap_low: number | null; gap_high: number | null; q_value: number | null; performance_status: string;
  }[];
}

/**
 * Tables, as Parquet (snappy or uncompressed), one row per concept in order:
 *
 * `concepts.parquet`: label, label_kind, label_score, label_scored_by, alive, dense, template, exact_token, missing, ranked, density,
 * peak_token, chi_bench, chi_model(_low, _high), gap(_low, _high), p_value, q_value, performance_status, leader, followers, support,
 * n_eff, n_benchmarks, lift, coverage_status, chance_seen; theme, subtheme, x, y (only with themes).
 *
 * `concepts/K.parquet` (K: place of the benchmark): chi_bench, chi_model(_low, _high), gap(_low, _high), q_value, performance_status,
 * support, n_eff, lift, coverage_status, share.
 *
 * `items.parquet`: benchmark (place), item_id, group, score, policy, n_tokens, excluded, unscored, excerpt (the first 160 characters of
 * the item's own text, on one line; null if redacted). Redacted, item_id is the item's place in its benchmark, from 0, group is null, and
 * of reasons (excluded, unscored) only those are told that the package writes itself.
 */
export type TableName = "concepts.parquet" | `concepts/${number}.parquet` | "items.parquet";

/** `data/KEY/concept/N.json`: an array of these, concepts N * shards.concepts onwards. */
export interface ConceptDetail {
  concept: number;
  /** The shown one first. */
  labels: {
    label: string; kind: string | null; explainer: string | null; score: number | null; scored_by: string | null;
    placeholder: boolean; date: string | null;
  }[];
  /** Who made the shown label and how it scored, in words. */
  provenance: string | null;
  /** `auto`, `doubtful`. */
  marks: string[];
  /** Tokens whose logits its decoder direction raises (lowers) most; null: never read. */
  promoted: string[] | null;
  suppressed: string[] | null;
  /** [concept, cosine of decoder directions]; null: never computed. */
  similar: [number, number][] | null;
  /** [concept, Jaccard index of the sets of items in which they are active], highest first: found among at most 2,000 of its
   * strongest items, without dense concepts and those that share fewer than 3 of these items. */
  coactive: [number, number][];
  /** Entries of other people's lists (`cgaps match`). */
  matched: { taxonomy: string; entry: string; similarity: number; verdict: string | null }[];
  /** How it stands in each benchmark, in the order of `RunInfo.benchmarks`; null in an exported explorer: `concepts/K.parquet` says it. */
  benchmarks: ConceptInBenchmark[] | null;
  /** CAS over the items in which it is active, 20 bins of equal width from 0 to `max`; `score`: mean score of the scored items of a
   * bin. Without bins, `max` 0: it is active in none. */
  histogram: { max: number; counts: number[]; score: (number | null)[] };
  items: { strongest: ItemUse[]; best: ItemUse[]; worst: ItemUse[] };
  /** Windows of text from its dictionary; null: none there. */
  exemplars: { tokens: string[]; activations: number[]; value: number }[] | null;
  /** Address of its page at Neuronpedia. */
  neuronpedia: string | null;
}

/** A concept within one benchmark, as in `concepts/K.parquet`. */
export interface ConceptInBenchmark {
  support: number; n_eff: number | null;
  chi_bench: number | null; chi_model: number | null;
  gap: number | null; gap_low: number | null; gap_high: number | null;
  performance_status: string | null;
}

/** An item as one concept sees it; its texts lie in the item's detail. */
export interface ItemUse {
  item: number;
  score: number | null;
  cas: number;
  /** In [0, 1]. */
  saliency: number;
  /** Range of the strongest token in `ItemDetail.text`; null: it stands for no text, or for text that is left out. */
  peak: [number, number] | null;
  /** Tokens on which it is active: [start, end, activation]; null: the run kept no activations of tokens, or redacted. */
  tokens: [number, number, number][] | null;
}

/** `data/KEY/item/N.json`: an array of these, items N * shards.items onwards. */
export interface ItemDetail {
  item: number;
  benchmark: number;
  item_id: string;
  group: string | null;
  policy: string;
  score: number | null;
  excluded: string | null;
  unscored: string | null;
  n_tokens: number;
  epochs: number;
  /** All that the model read; null: redacted. */
  text: string | null;
  /** Characters of `text` left out before and after, in a static explorer of long texts; null: it is whole. A response, answer or
   * details that are cut say so at their end. */
  cut: { before: number; after: number } | null;
  /** Range of the item's own text in `text`. This and all ranges count Unicode code points, not UTF-16 units. */
  own: [number, number] | null;
  response: string | null;
  answer: string | null;
  logprobs: number[];
  details: unknown;
  /** Its 20 most salient concepts: [concept, CAS, saliency, peak start, peak end]; start and end are null without a peak in `text`. */
  concepts: [number, number, number, number | null, number | null][];
}

/** `data/KEY/search?q=TEXT` (served only): rows of items whose texts hold it, regardless of case. */
export interface SearchResult {
  rows: number[];
  total: number;
}

/** `POST chat` (served only) takes this and answers with one JSON object a line. */
export interface ChatRequest {
  run: string;
  messages: { role: "user" | "assistant"; content: string }[];
}
export type ChatEvent =
  | { type: "query"; id: number; name: string; arguments: Record<string, unknown>; result: unknown }
  /** `numbers`: each number in the text with the query that it came from; null: from none.
   * `cut`: the model used all the tokens of an answer, so that the rest of it is missing. */
  | { type: "answer"; text: string; numbers: { start: number; end: number; query: number | null }[]; cut: boolean }
  | { type: "error"; text: string };
