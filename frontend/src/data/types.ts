/**
 * What the explorer reads. Written by `python recipes/page_types.py`; change it there
 * (`view/page/parts/records/`). null: undefined or not known.
 */

/** A run that can be opened. */
export interface ListedRun {
  key: string;
  title: string;
}

/** `runs.json`: which runs are here. */
export interface RunList {
  runs: ListedRun[];
  /** `static`: a folder; `file`: one file, which leaves details out. */
  mode: "served" | "static" | "file";
}

/** Whose scores a run shows, and by which model its items are read. */
export interface Scored {
  /** The model that was scored. */
  model: string;
  /** The model whose activations the concepts are read from. */
  reader: string;
  sentence: string;
  /** Whether the run has scores; without any, its items are there for those of other models. */
  scored: boolean;
}

/** What the association of a concept needs to count. */
export interface AssociationTest {
  min_n_eff: number;
  min_association: number;
  /** What compared items have in common, `at equal length`; empty: their benchmark alone. */
  alike: string;
}

/** A region of the atlas. */
export interface Region {
  /** Its place in `RunInfo.regions`. */
  region: number;
  /** 1 coarse, 2, 3 finest. */
  level: number;
  /** The region of the level above that holds it; null at level 1. */
  parent: number | null;
  name: string;
  /**
   * `written`: by readers or a language model; `words`: made of labels and words; `unclear`: written, but readers could
   * not tell it from its siblings.
   */
  kind: string;
  x: number;
  y: number;
  /** Number of concepts that belong to it. */
  concepts: number;
}

/** One word and its meaning. */
export interface Term {
  /** Its address on the page; of a column, the column's key. */
  key: string;
  title: string;
  meaning: string;
}

/** A test of the run as a whole, in words. */
export interface RobustnessTest {
  code: string;
  test: string;
  sentence: string;
  tone: "good" | "bad" | "open";
}

/** One line of the run card. */
export interface Fact {
  name: string;
  value: string;
  note: string;
}

/** A benchmark of the run. */
export interface BenchmarkSummary {
  name: string;
  items: number;
  kept: number;
  excluded: number;
  scored: number;
  mean_score: number | null;
  covered: number;
  missing: number;
  mean_span_tokens: number | null;
  tested: number;
  /** Concepts that go with failure in it. */
  failure: number;
  success: number;
  scorer: string;
  scope: string | null;
  /**
   * Of the logs and tasks that it was read from, and whether the log seems to be of another model; redacted, without
   * what they quote.
   */
  warnings: Record<string, boolean>;
  /** Results of the whole benchmark that its scorers and judges give, in words. */
  figures: string[];
  /** Records that became no item, by reason; redacted, without their places. */
  left_out: string[];
}

/** One quantity of a concept. */
export interface Quantity {
  /** Column of the run's table. */
  key: string;
  title: string;
  /** What the quantity is, in one line. */
  hint: string;
  /** How a value is written. */
  kind:
    | "text"
    | "word"
    | "flag"
    | "integer"
    | "tenths"
    | "decimal"
    | "signed"
    | "points"
    | "magnitude"
    | "probability"
    | "percent";
  /** Which question it belongs to: how well, how much, or both. */
  face: "model" | "benchmark" | "both";
  /** Left out if no row has a value, as lift without a reference text. */
  optional: boolean;
  /** Shown with its interval, from the columns `key_low` and `key_high`. */
  interval: boolean;
}

/** Matrices in the order of the benchmarks, empty without a reading; null: undefined. */
export interface Overlap {
  jaccard: (number | null)[][];
  cosine: (number | null)[][];
  spearman: (number | null)[][];
  n_concepts: number[][];
}

/** `data/KEY/run.json`: all that is small. */
export interface RunInfo {
  key: string;
  created: string;
  scored: Scored;
  /** All models with scores on the items, in the order of `answers/K.json` and `ItemDetail.models`. */
  models: string[];
  /** Index of the model that is shown first. */
  model: number;
  sae: string | null;
  /** SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal. */
  sae_sha256: string | null;
  /** Number of concepts: ids are 0 to width - 1. */
  width: number;
  /** Number of items: rows are 0 to items - 1. */
  items: number;
  concepts_per_part: number;
  items_per_part: number;
  redacted: boolean;
  /**
   * How many items' texts, responses or answers are cut in this export, so that a search sees only a part of them; 0
   * when served.
   */
  cut_items: number;
  /** Whether the run kept activations of tokens. */
  has_tokens: boolean;
  /** Whether lists of other people were compared with the run (`cgaps match`). */
  has_matches: boolean;
  evidence: AssociationTest;
  /** By level; empty in a run that has no atlas. */
  regions: Region[];
  /** What words mean; `key` is a column's, or a general word's. */
  glossary: Term[];
  /** null: robustness was not tested. */
  verdicts: RobustnessTest[] | null;
  card: Fact[];
  /** Empty: redacted, or the run was made from Python. */
  command: string;
  versions: [string, string][];
  settings: [string, string][];
  benchmarks: BenchmarkSummary[];
  /** Quantities of a concept: columns of `concepts.parquet`. */
  columns: Quantity[];
  /** Columns of `concepts/K.parquet`: those that each benchmark has values of its own of. */
  per_benchmark: string[];
  overlap: Overlap;
}

/** A line of an answer, with its words. */
export interface ListedFinding {
  number: number;
  slice: number;
  family: string;
  name: string;
  gap: number;
  low: number;
  high: number;
  recurs: number;
  belief: "solid" | "likely" | "a hint";
  items: number;
  of_items: number;
  mean: number | null;
  in_halves: number;
  halves: number;
  heldout_gap: number | null;
  heldout_low: number | null;
  heldout_high: number | null;
  rests_on: [string, number][];
  example: number | null;
  typical: number[];
  chance: number | null;
  change: number | null;
  change_low: number | null;
  change_high: number | null;
  within: number | null;
  /** `weaker` or `stronger`; of two models `below` or `above` the overall change. */
  side: string;
  /** The gap in points of 100, as it is written everywhere. */
  points: string;
  /** Its interval, likewise. */
  spread: string;
  /** How many items it is about. */
  size: string;
  /** How far to believe the line, with the reason. */
  believed: string;
  /** How often half-samples choose it again, and its gap on the items that they leave out. */
  replication: string;
  /** Which other slices or properties explain part of its gap; null: none does. */
  explained: string | null;
  /** Its example in short; null: redacted, or there is none. */
  quote: string | null;
}

/** Where a model is weak and strong: the same list as in the terminal. */
export interface ListedAnswer {
  kind: "score" | "peers" | "difference" | "parsed";
  /** The peers, or the other model. */
  against: string[];
  headline: string;
  /** How many items have an outcome, and what the beliefs of its lines mean. */
  scored: string;
  /** Caveats that may overturn the list; they stand above it. */
  warnings: string[];
  /** The others. */
  caveats: string[];
  /** Weaker ones first, then stronger ones, each from the largest gap down. */
  findings: ListedFinding[];
}

/** `data/KEY/answers/K.json`: what was found of the model at place K of `RunInfo.models`. */
export interface ModelAnswers {
  /** Answer against models at its level; null: there are fewer than two. */
  peers: ListedAnswer | null;
  /** Answer on its own scores, against the benchmark's average. */
  benchmark: ListedAnswer | null;
}

/** A slice for a model, in units of the outcome: the same numbers in the answer, the heat map and on the map. */
export interface SliceGap {
  slice: number;
  /** Scored items that belong to it. */
  items: number;
  /** Mean score of these items; null: none is scored. */
  mean: number | null;
  /**
   * Expected on new items, against comparable ones; of two models their difference there. null: `reason` says why it
   * has none.
   */
  gap: number | null;
  low: number | null;
  high: number | null;
  verdict: "weaker" | "stronger" | "typical" | null;
  reason: "few items" | "nearly all" | "unscored" | null;
  /** Rows of items that show best what the model fails there; in one file, of the slices of an answer only. */
  failing: number[];
  passing: number[];
}

/** `data/KEY/gaps/K.json`: every slice of `slices.json` for the model at place K, as `ModelAnswers`. */
export interface ModelGaps {
  peers: SliceGap[] | null;
  benchmark: SliceGap[] | null;
}

/** A slice: a weight from 0 to 1 per item, with a name. */
export interface ListedSlice {
  /** Number in addresses; from `CONCEPTS` on, the slice of the concept with the number less `CONCEPTS`. */
  number: number;
  family: string;
  /** What slices of the family are. */
  family_words: string;
  name: string;
  /** What the slices answer together that share it, as the column of a category. */
  column: string | null;
  /** The slice that contains it; -1: none. */
  parent: number;
  /** Words that are distinctive of its items; empty: redacted, or there are none. */
  words: string[];
  /** Rows of its most typical items, at most two. */
  typical: number[];
}

/** A model with scores on the run's items. */
export interface ListedModel {
  /** Its name in at most 28 characters. */
  short: string;
  /** Items that it was asked and that have no score. */
  unscored: number;
  /** Whether it also reads the items. */
  reads: boolean;
  /** Where it is weakest and strongest. */
  sentence: string;
}

/** How models score on a category, as measured; lists are in the order of `RunInfo.models`. */
export interface CategoryScores {
  /** null: all items. */
  slice: number | null;
  category: string | null;
  items: number;
  scored: number[];
  /** Mean score of the scored items; null: none is scored. */
  mean: (number | null)[];
  low: (number | null)[];
  /** Ends of its 95% interval. */
  high: (number | null)[];
  /** Whether no other model surely scores more on the same items. */
  may_be_best: boolean[];
}

/** Scores by the categories of a column, the largest first. */
export interface ColumnScores {
  column: string;
  categories: CategoryScores[];
}

/** `data/KEY/models.json`: of a run with the scores of several models. */
export interface ModelsFile {
  /** In the order of `RunInfo.models`. */
  models: ListedModel[];
  overall: CategoryScores;
  scores: ColumnScores[];
  /** Whether gaps are against peers; else against each model's own average. */
  peers: boolean;
  /** Places of models in the heat map, similar ones side by side. */
  columns: number[];
  /** Numbers and names of the slices that tell models apart: its rows. */
  slices: [number, string][];
  /** One list per slice, in the order of `columns`; without items. */
  cells: SliceGap[][];
}

/** A concept that items do not test, or hardly test. */
export interface Lack {
  concept: number;
  label: string | null;
  /** Missing: in no item. Thin: at most a quarter of its part of ordinary text (lift <= -2, or as set). */
  status: "missing" | "thin";
  /** Chance that as much ordinary text would show it, in [0, 1]; null: no reference. */
  chance_seen: number | null;
}

/** How far a region of the atlas is tested. Shares are of items, in [0, 1]. */
export interface RegionCoverage {
  concepts: number;
  missing: number;
  thin: number;
  by_chance: number | null;
  lacking: Lack[];
  region: number;
  /** 1 coarse, 2, 3 finest. */
  level: number;
  parent: number | null;
  name: string;
  /** Kept items in it, but for those that are unlike anything on the map. */
  items: number;
  /** Of all kept items; repeats count once. */
  share: number;
  /** Lower end of its interval of 95%. */
  low: number;
  high: number;
  /** Mean share in the benchmarks of the atlas. */
  public: number;
  /** Mean share in the `SIMILAR_BENCHMARKS` most similar benchmarks. */
  near: number;
  /** Share in ordinary text; null: the atlas has none. */
  text: number | null;
  /** Thin: significantly below half of `public`; missing: thin, and in no item; crowded: significantly above twice. */
  status: "missing" | "thin" | "crowded" | null;
}

/** How far concepts are tested. */
export interface Covered {
  /** Number of counted concepts. */
  concepts: number;
  missing: number;
  /** Number of thin concepts; 0 also if the run has no reference statistics. */
  thin: number;
  /** Expected number of concepts missing from as much ordinary text; null: no reference. */
  by_chance: number | null;
  /** At most `MAX_CONCEPTS` of them: missing ones first, those that ordinary text shows most surely. */
  lacking: Lack[];
}

/** What the items of a run, or of a benchmark, are about and do not test, with its words. */
export interface WordedCoverage {
  regions: RegionCoverage[];
  public: number;
  all: Covered;
  counted: "labelled" | "automatic" | "unlabelled";
  left_out: [string, number][];
  width: number;
  reference: boolean;
  /** What to do: the first missing topics, or that there are none. */
  answer: string[];
  /** What the items are about. */
  words: string[];
}

/** A label of a concept. */
export interface ConceptLabel {
  label: string;
  kind: string | null;
  explainer: string | null;
  score: number | null;
  scored_by: string | null;
  placeholder: boolean;
  date: string | null;
}

/** A concept within one benchmark, as in `concepts/K.parquet`. */
export interface ConceptInBenchmark {
  support: number;
  n_eff: number | null;
  chi_bench: number | null;
  chi_model: number | null;
  association: number | null;
  association_low: number | null;
  association_high: number | null;
  performance_status: string | null;
}

/** CAS over the items in which a concept is active, in 20 bins of equal width from 0 to `max`. */
export interface Histogram {
  /** 0, without bins: it is active in none. */
  max: number;
  counts: number[];
  /** Mean score of the scored items of each bin; null: it has none. */
  score: (number | null)[];
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
  /** Tokens on which it is active: start, end, activation; null: the run kept no activations of tokens, or redacted. */
  tokens: [number, number, number][] | null;
}

/** A window of text of a dictionary. */
export interface TextWindow {
  tokens: string[];
  activations: number[];
}

/** An entry of `data/KEY/concept/N.json`, which holds concepts N * shards.concepts onwards. */
export interface ConceptDetail {
  concept: number;
  /** The shown one first. */
  labels: ConceptLabel[];
  /** Who made the shown label and how it scored, in words. */
  provenance: string | null;
  /** `auto`, or none. */
  marks: string[];
  /** Tokens whose logits its decoder direction raises most; null: never read. */
  promoted: string[] | null;
  /** Tokens whose logits it lowers most. */
  suppressed: string[] | null;
  /** Concepts with the cosine of decoder directions; null: never computed. */
  similar: [number, number][] | null;
  /** In the order of `RunInfo.benchmarks`; null in an exported explorer: `concepts/K.parquet` says it. */
  benchmarks: ConceptInBenchmark[] | null;
  histogram: Histogram;
  /** Items in which it is strongest, and its scored items of the highest and of the lowest scores. */
  strongest: ItemUse[];
  best: ItemUse[];
  worst: ItemUse[];
  /** Windows of text from its dictionary; null: none there. */
  exemplars: TextWindow[] | null;
  /** Address of its page at Neuronpedia. */
  neuronpedia: string | null;
}

/** What one model did on an item. */
export interface ModelAnswer {
  score: number | null;
  /** null: redacted, or not known. */
  response: string | null;
  /** Why it has no score; redacted, without what it quotes. */
  unscored: string | null;
}

/** An entry of `data/KEY/item/N.json`, which holds items N * shards.items onwards. */
export interface ItemDetail {
  item: number;
  benchmark: number;
  item_id: string;
  group: string | null;
  scorer: string;
  score: number | null;
  excluded: string | null;
  unscored: string | null;
  n_tokens: number;
  /** Tokens that the run counts for its concepts. */
  n_span_tokens: number;
  cluster: number | null;
  /** Why it shares its cluster: `given`, `equal` or `near`; null: it is alone there. */
  cluster_kind: string | null;
  /** One per model of `RunInfo.models`; empty where it has only one. */
  models: ModelAnswer[];
  /** How many items its cluster has, itself among them. */
  together: number;
  /** How many of them ask the same, 1 where none does. */
  repeats: number;
  epochs: number;
  /** All that the model read; null: redacted. */
  text: string | null;
  /**
   * Characters before and after `text` that are left out in a static explorer of long texts; null: it is whole. A
   * response, answer or details that are cut say so at their end.
   */
  cut: [number, number] | null;
  /** Range of the item's own text in `text`. */
  body: [number, number] | null;
  response: string | null;
  answer: string | null;
  /** Options; null: there are none, they are redacted, or `text` contains them already. */
  choices: string[] | null;
  /** Index of the right option in `choices`. */
  answer_index: number | null;
  logprobs: number[];
  /** Details from its scorer, such as a judge's verdicts. */
  details: unknown;
}

/** A concept that is active in an item. */
export interface ActiveConcept {
  concept: number;
  cas: number;
  /** In [0, 1]. */
  saliency: number;
  /** As in `ItemUse`. */
  peak: [number, number] | null;
  /** As in `ItemUse`. */
  tokens: [number, number, number][] | null;
}

/** An entry of `data/KEY/active/N.json`, which holds the same items as `item/N.json`. */
export interface ItemConcepts {
  /** How many concepts are active in the item. */
  active: number;
  /** The most salient first: all of them from a server, some in an exported explorer. */
  concepts: ActiveConcept[];
}

/** A slice that goes with an entry. */
export interface Tie {
  /** As `~competency_gaps.slices.Family.number`. */
  slice: number;
  family: string;
  name: string;
  /** Area under the ROC curve on the examples that did not choose it; null: matched by text. */
  auc: number | null;
  q: number | null;
  /** What the slice goes with in the entry's domain, or in the run; null: nothing stands out. */
  status: "failure" | "success" | "missing" | "thin" | null;
}

/** An entry beside the run. */
export interface Matched {
  id: string;
  name: string;
  domain: string | null;
  /** Examples that count: one of each cluster of repeats. */
  examples: number;
  /** The list's own mean score, on its own scale. */
  score: number | null;
  /** Its scored items in the run, 0 where its examples are none. */
  items: number;
  /** Mean outcome of its own items, less that of comparable ones of its domain; null: not measured. */
  association: number | null;
  low: number | null;
  high: number | null;
  /** Whether its own items go with failure, false discoveries controlled over the entries; null: not measured. */
  failure: boolean | null;
  /** `few`: too few examples to compare. */
  outcome: "recovered" | "untested" | "matched" | "none" | "few";
  /** The best first. */
  ties: Tie[];
  /** Its items with the lowest outcomes, at most three. */
  rows: number[];
}

/** How many entries, and how many by chance. */
export interface Rate {
  what: "failure" | "matched" | "recovered" | "failure recovered" | "untested";
  count: number;
  of: number;
  /** Mean number with examples dealt out anew (matched) or outcomes shuffled (recovered); null: not drawn. */
  chance: number | null;
  /** 95% of these draws stay at or below. */
  most: number | null;
}

/** A finding of the answer that goes with no entry. */
export interface Lacked {
  slice: number;
  family: string;
  name: string;
  gap: number;
}

/** A list beside a run. */
export interface Matching {
  list: string;
  /** By the run's own items; by examples that were read for it. */
  how: "items" | "examples";
  /** Whose outcomes; null: the run has no scores. */
  model: string | null;
  against: string[];
  /** Those that go with failure and recovered ones first, then by association. */
  entries: Matched[];
  rates: Rate[];
  lacks: Lacked[];
}

/** A paragraph, or a table. */
export interface Block {
  /** Empty: a table. */
  text: string;
  soft: boolean;
  columns: string[];
  rows: string[][];
}

/** An item that is kept, or that looks broken. */
export interface ImprovedItem {
  row: number;
  /** Chance that it is broken, in [0, 1]; null: it is a kept item. */
  chance: number | null;
  /** Why it looks broken; empty: it is kept. */
  reason: string;
}

/** A new item. */
export interface ListedDraft {
  text: string;
  choices: string[];
  answer: string | null;
  /** Where it comes from, or why it was refused. */
  note: string;
}

/** A result of `cgaps improve`. */
export interface Improvement {
  what: "keep" | "items" | "new";
  /** Of its file or folder, without its ending. */
  name: string;
  /** What the terminal says; the first one is the answer. */
  blocks: Block[];
  items: ImprovedItem[];
  drafts: ListedDraft[];
  refused: ListedDraft[];
}

/** `data/KEY/improve.json`. */
export interface ImproveFile {
  results: Improvement[];
  /** Kind of result -> command that makes it. */
  commands: Record<"keep" | "items" | "new", string>;
}

/** A category of a column, or a benchmark, in a comparison of two models. Scores are in [0, 1]. */
export interface CategoryChange {
  slice: number;
  name: string;
  /** Scored for both. */
  items: number;
  /** Mean score of the baseline; null: no item is scored for both. */
  before: number | null;
  after: number | null;
  /** The change that is expected on new items, in points of 100; empty: `reason` says why there is none. */
  points: string;
  /** Its interval, likewise. */
  spread: string;
  verdict: "lost" | "gained" | "no clear change" | null;
  reason: string | null;
}

/**
 * Two models of the run KEY (`data/KEY/pairs/N.json`); or the run OTHER, the candidate, against the run KEY, the
 * baseline (`data/KEY/against/OTHER.json`).
 */
export interface Pairing {
  /** Why nothing can be compared; null: a comparison follows. */
  why: string | null;
  /** Sentences above the list of slices: the verdict, the whole, and what was not compared; below: the rest. */
  above: string[];
  below: string[];
  /** The greatest loss first. */
  categories: CategoryChange[];
  /** On which slices they differ; null: nothing pairs. */
  answer: ListedAnswer | null;
  /** How much they differ on each slice; null: nothing pairs, or they are two runs. */
  gaps: SliceGap[] | null;
}

/** `data/KEY/search?q=TEXT` (served only): items whose texts contain it, regardless of case. */
export interface SearchResult {
  rows: number[];
  total: number;
}

/** Characters that are shown by their code, as ranges of a regular expression. */
export const HIDDEN = [
  "\\u{0}-\\u{8}",
  "\\u{b}-\\u{1f}",
  "\\u{7f}-\\u{9f}",
  "\\u{ad}",
  "\\u{180e}",
  "\\u{200b}",
  "\\u{2028}-\\u{202e}",
  "\\u{2060}-\\u{206f}",
  "\\u{feff}",
  "\\u{fff9}-\\u{fffb}",
  "\\u{e0000}-\\u{e007f}",
  "\\u{d800}-\\u{dfff}",
];

/** Characters of an item's own text in `items.parquet`. */
export const EXCERPT = 160;

/** Characters of its response, expected answer and choices there. */
export const ANSWER_EXCERPT = 80;

/** Number of the slice of concept 0. */
export const CONCEPTS = 1000000;

/** Share of the items from which a mean of the scored ones stands for all. */
export const WHOLE = 0.9;
