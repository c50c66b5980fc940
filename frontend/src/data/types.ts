/** What the explorer reads. Python writes exactly this (`src/competency_gaps/explorer/parts/`); null: undefined or not known. */

/** `runs.json`: which runs are here. */
export interface RunList {
  runs: { key: string; title: string }[];
  mode: "served" | "static";
  /** Null in a static explorer, which can ask nobody and offers no chat. */
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
    alive: number;
    covered: number;
    missing: number;
    ranked: number;
    tested: number;
    weak: number;
    weak_groups: number;
    strong: number;
    strong_groups: number;
    negligible: number;
    vanishes: number;
    insufficient: number;
  };
  /** `alike`: what items are compared at equal values of, `at equal length`; empty: within benchmarks only. */
  evidence: { min_n_eff: number; q: number; level: number; min_gap: number; alike: string };
  /** What chi_bench is measured in. */
  unit: string;
  /** Of the model. */
  short_name: string;
  answer: Answer;
  /** All of them: weak ones first, then strong ones, each by the size of the gap times the items it concerns. */
  findings: Finding[];
  /** What words mean; `key` is a column's, or a general word's. */
  glossary: { key: string; title: string; meaning: string }[];
  /** Warnings of logs and tasks. */
  cautions: { tone: "bad" | "open"; text: string }[];
  /** Outcome of `cgaps robustness`; null: not run. */
  verdicts: { code: string; test: string; sentence: string; tone: "good" | "bad" | "open" }[] | null;
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
    jaccard: (number | null)[][];
    cosine: (number | null)[][];
    spearman: (number | null)[][];
    n_concepts: number[][];
  };
  /** The suite's benchmarks in the order in which each adds most concepts. */
  redundancy: { benchmark: number; adds: number; covered: number; cumulative: number }[];
  suggestions: Suggestion[];
}

/** What the run says, as the terminal and the report say it too. */
export interface Answer {
  /** Model, mean score, size of the suite. */
  opening: Statement;
  /** What failed and therefore comes first; empty where nothing did. */
  trust: Statement[];
  /** At most five, worst first; one of code `no_finding` where nothing stands out. */
  findings: Statement[];
  /** The lowest score first. `notes`: what the scores go with, and what most concepts that stand out share. */
  benchmarks: {
    benchmark: string;
    mean_score: number | null;
    scored: number;
    kept: number;
    tested: number;
    weak: number;
    strong: number;
    notes: Statement[];
  }[];
  /** What benchmarks lack of their stated scope, most first; then what is only counted. */
  scope: Statement[];
  /** How far to trust it. */
  confidence: Statement[];
}

export interface Statement {
  code: string;
  text: string;
  /** `weak`, `strong`, `good`, `bad`, `open` or empty. */
  tone: string;
  /** Number of the finding that it is. */
  finding: number | null;
  /** Name of the benchmark that it is about; null: the whole run, or several. */
  benchmark: string | null;
  /** Its numbers by name. */
  numbers: unknown;
}

/** A group of weak or strong concepts, told by its items. Gaps are between scores in [0, 1]. */
export interface Finding {
  /** Its number and its place in the list. */
  finding: number;
  verdict: "weak" | "strong";
  leader: number;
  label: string | null;
  /** The leader first. */
  concepts: number[];
  /** Scored items in which the group is active; `clusters`: how many when each cluster counts once. */
  items: number;
  clusters: number;
  /** Whether answers get parts of a point, so that a mean score is no share of right ones. */
  graded: boolean;
  n_eff: number;
  mean_score: number;
  plain_gap: number;
  gap: number;
  gap_low: number;
  gap_high: number;
  p_value: number;
  q_value: number;
  /** Smallest gap that its items would most likely have shown. */
  detectable: number | null;
  /** `benchmark`: place; `share`: of its weight. */
  benchmarks: { benchmark: number; items: number; share: number }[];
  /** What tells its items from the others of the same benchmarks, where a feature does; its figures are of the items with it. */
  feature: string | null;
  feature_words: string | null;
  feature_benchmarks: number[];
  feature_items: number | null;
  feature_score: number | null;
  other_items: number | null;
  other_score: number | null;
  feature_p: number | null;
  /** A language model's words for its items. */
  wording: string | null;
  wording_source: string | null;
  sentence: string;
  /** The same in at most 90 characters. */
  short: string;
  /** What stands behind it, in sentences. */
  support: string;
  failing: FindingExample[];
  passing: FindingExample[];
  /** Gap on the other half of the items, in the `unseen_splits` of `splits` in which one half finds it again. */
  unseen_gap: number | null;
  unseen_low: number | null;
  unseen_high: number | null;
  unseen_splits: number;
  splits: number;
  /** Null: cannot be told. */
  holds: boolean | null;
  /** Tests it further. */
  command: string;
  command_note: string;
}

/** An item of a finding; `repeats`: how many items ask the same, itself among them. */
export interface FindingExample {
  item: number;
  repeats: number;
  /** Ranges of its own text, from the start of that, in which it differs from other items of its benchmark; at least one; null: redacted. */
  differs: [number, number][] | null;
}

/** `data/KEY/findings.json`: an array of these, the items that weigh most first, at most 500. */
export interface FindingItems {
  finding: number;
  item_rows: number[];
  weights: number[];
}

export interface Benchmark {
  name: string;
  items: number;
  kept: number;
  excluded: number;
  scored: number;
  mean_score: number | null;
  covered: number;
  missing: number;
  alive: number;
  mean_span_tokens: number | null;
  tested: number;
  weak: number;
  strong: number;
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
  kind:
    | "text"
    | "word"
    | "flag"
    | "integer"
    | "tenths"
    | "decimal"
    | "signed"
    | "magnitude"
    | "probability"
    | "percent";
  /** Which question it belongs to. */
  face: "model" | "benchmark" | "both";
  /** Has `KEY_low` and `KEY_high` beside it. */
  interval: boolean;
  per_benchmark: boolean;
}

export interface Suggestion {
  kind: "missing" | "weak" | "redundant" | "robustness" | "label";
  title: string;
  reason: string;
  /** Command to run; null: nothing to run. */
  command: string | null;
  /** How much is at stake, among suggestions of its kind. */
  value: number;
  benchmark: number | null;
  /** The finding that it tests. */
  finding: number | null;
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
  concepts: number;
  ranked: number;
  chi_bench: number | null;
  chi_bench_mean: number | null;
  chi_model: number | null;
  chi_model_low: number | null;
  chi_model_high: number | null;
  support: number;
  n_eff: number;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
  q_value: number | null;
  performance_status: string;
  missing_concepts: number;
  weak_concepts: number;
  strong_concepts: number;
  weak_groups: number;
  /** In the order of `RunInfo.benchmarks`. */
  benchmarks: {
    chi_bench: number | null;
    chi_model: number | null;
    support: number;
    n_eff: number;
    gap: number | null;
    gap_low: number | null;
    gap_high: number | null;
    q_value: number | null;
    performance_status: string;
  }[];
}

/**
 * Tables, as Parquet (snappy or uncompressed), one row per concept in order:
 *
 * `concepts.parquet`: label, label_kind, label_score, label_scored_by, alive, dense, template, exact_token, missing, ranked, density,
 * peak_token, chi_bench, chi_model(_low, _high), gap(_low, _high), plain_gap, plain_q, detectable, p_value, q_value, performance_status,
 * vanishes, leader, followers, finding, support, n_eff, n_benchmarks, lift, coverage_status, chance_seen; theme, subtheme, x, y (only with themes).
 *
 * `concepts/K.parquet` (K: place of the benchmark): chi_bench, chi_model(_low, _high), gap(_low, _high), plain_gap, plain_q, detectable, q_value,
 * performance_status, vanishes, support, n_eff, lift, coverage_status, share.
 *
 * `items.parquet`: benchmark (place), item_id, group, score, policy, n_tokens, n_span_tokens, cluster, cluster_kind, repeats (items that
 * ask the same), excluded, unscored, excerpt (160 characters of the item's own text on one line, without what all of its benchmark begin
 * with), response, answer, choices (the
 * first 80 of each; all null if redacted). Redacted, item_id is the item's place in its benchmark, from 0, group is null, and
 * of reasons (excluded, unscored) only those are told that the package writes itself.
 */
export type TableName = "concepts.parquet" | `concepts/${number}.parquet` | "items.parquet";

/** `data/KEY/concept/N.json`: an array of these, concepts N * shards.concepts onwards. */
export interface ConceptDetail {
  concept: number;
  /** The shown one first. */
  labels: {
    label: string;
    kind: string | null;
    explainer: string | null;
    score: number | null;
    scored_by: string | null;
    placeholder: boolean;
    date: string | null;
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
  support: number;
  n_eff: number | null;
  chi_bench: number | null;
  chi_model: number | null;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
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
  /** Tokens that the run counts for its concepts. */
  n_span_tokens: number;
  cluster: number | null;
  /** Why it shares its cluster: `given`, `equal` or `near`; null: it is alone there. */
  cluster_kind: string | null;
  /** How many items its cluster has, itself among them; `repeats`: how many of them ask the same, 1 where none does. */
  together: number;
  repeats: number;
  /** Columns by which items can be compared; null: redacted, or it has none. */
  covariates: unknown;
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
  choices: string[] | null;
  /** Place of the right one in `choices`. */
  answer_index: number | null;
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
