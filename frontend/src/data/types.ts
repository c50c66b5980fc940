/**
 * What the explorer reads. Written by `python -m competency_gaps.explorer.types`; change it there
 * (`explorer/parts/records/`). null: undefined or not known.
 */

/** Whose scores a run shows, and by which model its items are read. */
export interface Scored {
  /** The model that was scored. */
  model: string;
  /** The model whose activations the concepts are read from. */
  reader: string;
  /** Its scores; these against peers, or less another model's; or whether they could be read from its answers. */
  kind: "score" | "peers" | "difference" | "parsed";
  /** The peers, or the other model. */
  against: string[];
  title: string;
  sentence: string;
  /** Whether the run has scores; without any, its items are there for those of other models. */
  scored: boolean;
}

/** A run, or an outcome of one, that can be opened. */
export interface ListedRun {
  key: string;
  title: string;
  scored: Scored;
  /** Key of the run that holds all models' scores on these items; null: the run has scores of one model only. */
  models: string | null;
}

/** Whether a model is configured, and which. */
export interface ChatState {
  configured: boolean;
  model: string | null;
  /** Host that questions and query results are sent to. */
  host: string | null;
  /** Says where questions go, or that no model is configured. */
  note: string;
}

/** `runs.json`: which runs are here. */
export interface RunList {
  runs: ListedRun[];
  /** `static`: a folder; `file`: one file, which leaves details out. */
  mode: "served" | "static" | "file";
  /** null in a static explorer, which has no chat. */
  chat: ChatState | null;
}

/** How many details a part holds. */
export interface Shards {
  concepts: number;
  items: number;
  entries: number;
}

/** What a run and its dictionary have beside tables. */
export interface Has {
  themes: boolean;
  map: boolean;
  tokens: boolean;
  lift: boolean;
  promoted: boolean;
  similar: boolean;
  /** Whether lists of other people were compared with the run (`cgaps match`). */
  matches: boolean;
}

/** How many concepts are what. */
export interface Counts {
  alive: number;
  covered: number;
  missing: number;
  ranked: number;
  tested: number;
  weak: number;
  strong: number;
  negligible: number;
  vanishes: number;
  insufficient: number;
}

/** Thresholds of the tests. */
export interface Thresholds {
  min_n_eff: number;
  q: number;
  level: number;
  min_gap: number;
  /** What items are compared at equal values of, `at equal length`; empty: within benchmarks only. */
  alike: string;
}

/** One statement, in words and in numbers. */
export interface Statement {
  /** What it is about; the functions of this module say which codes there are. */
  code: string;
  /** A sentence that explains every term it uses. */
  text: string;
  /** `weak`, `strong`, `good`, `bad`, `open` (undecided) or empty. */
  tone: string;
  /** Number of the finding that it states; null: it states no finding. */
  finding: number | null;
  /** The benchmark that it is about; null: the whole run, or several. */
  benchmark: string | null;
  /** Its numbers by name. */
  numbers: Record<string, number | string | null>;
}

/** One benchmark's score, and what its items share. */
export interface BenchmarkAnswer {
  benchmark: string;
  /** Over scored items, in [0, 1]; null: no item is scored. */
  mean_score: number | null;
  scored: number;
  kept: number;
  /** Concepts tested within the benchmark. */
  tested: number;
  weak: number;
  strong: number;
  /** `trend` (scores go with a property of the items) and `shared` (most tested concepts stand out). */
  notes: Statement[];
}

/** What a run says, in the order in which it is read. */
export interface RunAnswer {
  /** Model, mean score and size of the suite. */
  opening: Statement;
  /** What failed and therefore comes first: `gate`, `judge_by_place`, `robustness`; empty where nothing did. */
  trust: Statement[];
  /**
   * At most `MOST`, weak ones first; a single one of code `no_finding` where nothing stands out; empty where no item is
   * scored.
   */
  findings: Statement[];
  /** The lowest score first, unscored ones last. */
  benchmarks: BenchmarkAnswer[];
  /** What benchmarks lack of their stated scope, most first; then what is only counted (`counted`). */
  scope: Statement[];
  /** How far to trust it: `unseen`, `kinds`, `repeats`, `vanished`, `rate`, `gate`, `tests`. */
  confidence: Statement[];
}

/** A benchmark's part of a finding. */
export interface FindingBenchmark {
  /** Its place. */
  benchmark: number;
  items: number;
  /** Of the finding's weight. */
  share: number;
}

/** An item of a finding. */
export interface FindingExample {
  item: number;
  /** How many items ask the same, itself among them. */
  repeats: number;
  /**
   * Ranges of its own text, from the start of that, in which it differs from other items of its benchmark; at least
   * one; null: redacted.
   */
  differs: [number, number][] | null;
}

/** A group of weak or strong concepts, by its items. Gaps are between scores in [0, 1]. */
export interface Finding {
  /** Its number and its place in the list. */
  finding: number;
  verdict: "weak" | "strong";
  leader: number;
  label: string | null;
  /** The leader first. */
  concepts: number[];
  /** Scored items in which the group is active. */
  items: number;
  /** Number of these items when each cluster counts once. */
  clusters: number;
  /**
   * What `mean_score`, `feature_score` and `other_score` are: shares of right answers, mean scores where answers get
   * parts of a point, or means of another outcome.
   */
  unit: "right" | "score" | "parsed" | "peers" | "difference";
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
  benchmarks: FindingBenchmark[];
  /**
   * A feature that its items share and the others of the same benchmarks lack; null: there is none. Its figures are of
   * the items with it.
   */
  feature: string | null;
  feature_words: string | null;
  feature_items: number | null;
  feature_score: number | null;
  other_items: number | null;
  other_score: number | null;
  sentence: string;
  /** The same in at most 90 characters. */
  short: string;
  /** Its evidence, in sentences. */
  support: string;
  failing: FindingExample[];
  passing: FindingExample[];
  /** Mean gap on the items left out, over the `unseen_splits` of `splits` half-samples that find it again. */
  unseen_gap: number | null;
  unseen_low: number | null;
  unseen_high: number | null;
  unseen_splits: number;
  splits: number;
  /** null: undecided, since too few splits find it again. */
  holds: boolean | null;
  /** The command that tests it further. */
  command: string;
  command_note: string;
}

/** One word and its meaning. */
export interface Term {
  /** Its address on the page; of a column, the column's key. */
  key: string;
  title: string;
  meaning: string;
}

/** A warning of a log or task, or of what the run lacks. */
export interface Caution {
  tone: "bad" | "open";
  text: string;
}

/** An outcome of `cgaps check`. */
export interface Verdict {
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

/** Records that became no item, for one reason; redacted, `where` is their number. */
export interface UnreadRecords {
  where: string;
  reason: string;
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
  alive: number;
  mean_span_tokens: number | null;
  tested: number;
  weak: number;
  strong: number;
  policy: string;
  scope: string | null;
  /** Of the logs and tasks that it was read from; redacted, without what they quote. */
  warnings: string[];
  /** Results of the whole benchmark that its policies and judges give, in words. */
  figures: string[];
  left_out: UnreadRecords[];
}

/** One quantity of a concept. Its values lie in `concepts.parquet` and, if `per_benchmark`, in `concepts/K.parquet`. */
export interface ColumnSpec {
  key: string;
  title: string;
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
    | "magnitude"
    | "probability"
    | "percent";
  /** Which question it belongs to: how well, how much, or both. */
  face: "model" | "benchmark" | "both";
  /** Has `KEY_low` and `KEY_high` beside it. */
  interval: boolean;
  per_benchmark: boolean;
}

/** Matrices in the order of the benchmarks; null: undefined. */
export interface Overlap {
  jaccard: (number | null)[][];
  cosine: (number | null)[][];
  spearman: (number | null)[][];
  n_concepts: number[][];
}

/** A benchmark's place in the order of what they add. */
export interface Added {
  benchmark: number;
  /** Concepts that it covers and none before it does. */
  adds: number;
  /** Concepts that it covers. */
  covered: number;
  /** Concepts that it and those before it cover. */
  cumulative: number;
}

/** `data/KEY/run.json`: all that is small. */
export interface RunInfo {
  schema: 1;
  key: string;
  /**
   * Key of the run whose parts `item/N.json` and `active/N.json` hold the items; of an outcome, the run that it is of,
   * if that is here.
   */
  home: string;
  title: string;
  created: string;
  scored: Scored;
  /** All models with scores on the items, as `ItemDetail.models` lists them; empty where none was added. */
  models: string[];
  sae: string;
  /** SHA-256 of the SAE's weights: concepts of two runs are the same only if it is equal. */
  sae_sha256: string | null;
  /** Number of concepts: ids are 0 to width - 1. */
  width: number;
  /** Number of items: rows are 0 to items - 1. */
  items: number;
  shards: Shards;
  redacted: boolean;
  /**
   * How many items' texts, responses or answers are cut in this export, so that a search sees only a part of them; 0
   * when served.
   */
  cut_items: number;
  has: Has;
  counts: Counts;
  evidence: Thresholds;
  /** What chi_bench is measured in. */
  unit: string;
  answer: RunAnswer;
  /** All of them: weak ones first, then strong ones, each by the size of the gap times the items it concerns. */
  findings: Finding[];
  /** What words mean; `key` is a column's, or a general word's. */
  glossary: Term[];
  cautions: Caution[];
  /** null: robustness was not tested. */
  verdicts: Verdict[] | null;
  /** Newest first. */
  card: Fact[];
  /** Empty: redacted, or the run was made from Python. */
  command: string;
  versions: [string, string][];
  settings: [string, string][];
  benchmarks: BenchmarkSummary[];
  columns: ColumnSpec[];
  overlap: Overlap;
  /** The suite's benchmarks in the order in which each adds most concepts. */
  redundancy: Added[];
}

/** The items of a finding in `findings.json`, those that weigh most first, at most 500. */
export interface FindingItems {
  finding: number;
  item_rows: number[];
}

/** A theme within one benchmark. */
export interface ThemeBenchmark {
  chi_bench: number | null;
  chi_model: number | null;
  support: number;
  n_eff: number;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
  q_value: number | null;
  performance_status: string;
}

/** A theme or subtheme with its statistics in the suite. */
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
  /** In the order of `RunInfo.benchmarks`. */
  benchmarks: ThemeBenchmark[];
}

/** `data/KEY/themes.json`. */
export interface ThemeFile {
  /** Empty in a run that has none. */
  themes: Theme[];
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

/** An entry of somebody's list (`cgaps match`). */
export interface MatchedEntry {
  taxonomy: string;
  /** What matches it: what the entry's examples excite, or the concept's label. */
  by: "examples" | "labels";
  /** The entry's number on the page, as of `ListedEntry`. */
  number: number;
  entry: string;
  /** By labels the cosine of the texts, by examples the AUROC at equal length. */
  strength: number;
  /** A model's; null: not asked. */
  verdict: string | null;
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

/** Items of a concept. */
export interface ItemUses {
  strongest: ItemUse[];
  best: ItemUse[];
  worst: ItemUse[];
}

/** A window of text of a dictionary. */
export interface TextWindow {
  tokens: string[];
  activations: number[];
  value: number;
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
  /** Concepts with the Jaccard index of the sets of items in which they are active, highest first. */
  coactive: [number, number][];
  matched: MatchedEntry[];
  /** In the order of `RunInfo.benchmarks`; null in an exported explorer: `concepts/K.parquet` says it. */
  benchmarks: ConceptInBenchmark[] | null;
  histogram: Histogram;
  items: ItemUses;
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

/** Characters of a text that are left out. */
export interface Cut {
  before: number;
  after: number;
}

/** An entry of `data/KEY/item/N.json`, which holds items N * shards.items onwards. */
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
  /** One per model of `RunInfo.models`; empty where no other model's scores were added. */
  models: ModelAnswer[];
  /** How many items its cluster has, itself among them. */
  together: number;
  /** How many of them ask the same, 1 where none does. */
  repeats: number;
  epochs: number;
  /** All that the model read; null: redacted. */
  text: string | null;
  /**
   * What of `text` is left out in a static explorer of long texts; null: it is whole. A response, answer or details
   * that are cut say so at their end.
   */
  cut: Cut | null;
  /** Range of the item's own text in `text`. */
  own: [number, number] | null;
  response: string | null;
  answer: string | null;
  choices: string[] | null;
  /** Place of the right one in `choices`. */
  answer_index: number | null;
  logprobs: number[];
  /** What its policy says. */
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
  item: number;
  /** How many concepts are active in the item. */
  active: number;
  /** The most salient first: all of them from a server, some in an exported explorer. */
  concepts: ActiveConcept[];
}

/** How many entries have an outcome, and how many by chance. */
export interface OutcomeRate {
  /** `matched`: weak and untested entries are among them. */
  outcome: "matched" | "weak" | "untested";
  count: number;
  /** Entries that were compared. */
  of: number;
  /** Ends of the share's interval at 95%; null: no entry was compared. */
  low: number | null;
  high: number | null;
  /** Entries by chance, on average; null: not computed. */
  expected: number | null;
  /** Ends of what 95% of the draws give; null: not computed. */
  expected_low: number | null;
  expected_high: number | null;
  /** Share of the draws with as many; null: not computed. */
  p_value: number | null;
}

/** A concept or theme that an entry matches. */
export interface MatchPair {
  /** null: a theme. */
  concept: number | null;
  /** null: a concept. */
  level: "theme" | "subtheme" | null;
  /** Number of the theme on its level; null: a concept. */
  theme: number | null;
  /** Label of the concept, or name of the theme, when they were matched; null: it had none. */
  label: string | null;
  /**
   * By labels the cosine of the embedded texts, in [-1, 1]; by examples the AUROC among examples of equal length, in
   * [0.5, 1].
   */
  strength: number;
  /** By labels the share of the null's draws whose best label is as similar, in (0, 1]. */
  p_value: number;
  /** A model's verdict; null: not asked. Pairs judged unrelated are no matches. */
  verdict: "same" | "related" | "unconfirmed" | null;
  /** By examples, the concept whose examples it shares (itself if it leads); null: by labels, or a theme. */
  leader: number | null;
  /**
   * By examples, cosine of the embedded label and the entry's description, in [-1, 1]; null: by labels (where it is the
   * strength), a theme, no label, or not compared.
   */
  label_similarity: number | null;
}

/** An entry of a list. Its number on the page is its place among the entries of all lists. */
export interface ListedEntry {
  /** Its id; redacted, its number in the list, from 1. */
  entry: string;
  /** The same where redacted. */
  description: string;
  domain: string | null;
  category: string | null;
  /** The list's own, on its own scale. */
  score: number | null;
  outcome: "weak" | "untested" | "matched" | "not matched" | "not compared";
  /** Why it was not compared by examples; null: it was, or by labels. */
  not_compared: "few_examples" | "one_half" | "few_others" | "length" | null;
  /** Examples that were read and count, one of a cluster; null: by labels. */
  examples: number | null;
  /** Concepts before themes, the strongest first. */
  pairs: MatchPair[];
}

/** A list that was compared with the run. */
export interface MatchedList {
  /** Of its file or folder. */
  name: string;
  /** What its entries' examples excite, or its texts against concepts' labels. */
  by: "examples" | "labels";
  created: string;
  /** Condition on its entries; null: all, or redacted. */
  where: string | null;
  /**
   * By labels, the chance that an entry which no label fits matches something; by examples, the share of the matched
   * entries that may be matched by accident.
   */
  level: number;
  /** Matched, weak, untested. */
  rates: OutcomeRate[];
  entries: ListedEntry[];
  /** Weak concepts that match no entry, the most important first. */
  unnamed: number[];
  /** Weak concepts of the run; by labels, those with a label. */
  weak_concepts: number;
  /** Examples that could not be read. */
  left_out: number;
}

/** `data/KEY/matches.json`: of a run that was compared with lists. */
export interface MatchesFile {
  lists: MatchedList[];
}

/** An example of an entry. */
export interface EntryExample {
  /** Row of the run's item that it is; null: a prompt of the list. */
  item: number | null;
  /** All that the model read. */
  text: string;
  /** As of `ItemDetail`. */
  cut: Cut | null;
  /** Range of the example's own text in `text`. */
  own: [number, number] | null;
  /** Those of the entry's concepts that are active in it. */
  concepts: ActiveConcept[];
}

/** An entry of `data/KEY/entry/N.json`, which holds entries N * shards.entries onwards. */
export interface EntryExamples {
  number: number;
  /**
   * Why no example is shown: the list was compared by labels; none was read; they are withheld; the run that read them
   * is not there any more, or is another now. null: they are shown.
   */
  absent: "labels" | "none" | "redacted" | "gone" | "changed" | null;
  /** Whether activations of single tokens are known; else only the strongest token is. */
  tokens: boolean;
  /** Where a concept is matched, those in which the strongest is most active come first. */
  examples: EntryExample[];
}

/** A model that the run has scores of. */
export interface ListedModel {
  name: string;
  /** Whether the concepts are read from its activations. */
  reads: boolean;
  scored: number;
  unscored: number;
  mean: number | null;
  low: number | null;
  high: number | null;
  /** Command that makes its tables, so that the run can be shown as its. */
  command: string;
}

/** A theme, or a group of concepts that share their items. */
export interface MatrixColumn {
  /** Number of the theme, or of the group's leading concept. */
  id: number;
  /** The theme's, or the leading concept's label. */
  name: string | null;
  /** How many a group has, the leading one included; 0: it is a theme. */
  concepts: number;
}

/** How a model does on a theme or group. */
export interface MatrixCell {
  /** Mean outcome of its items, weighted by its activation. */
  mean: number | null;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
  /** By Benjamini and Hochberg: over all cells of themes; of groups, over all models and concepts. null: not tested. */
  q_value: number | null;
  n_eff: number;
  status: "weak" | "strong" | "typical" | "insufficient";
}

/** Models against themes or groups, each in an order in which similar ones stand side by side. */
export interface Matrix {
  /** A column's items against the model's other items; or besides, against models of its level. */
  kind: "score" | "peers";
  /** Places in `ModelsFile.models`. */
  models: number[];
  columns: MatrixColumn[];
  /** One list per model. */
  cells: MatrixCell[][];
}

/** `data/KEY/models.json`: of a run with the scores of several models. */
export interface ModelsFile {
  models: ListedModel[];
  /**
   * Models against themes, of scores, and where there are enough models, of scores against peers; empty in a run
   * without themes.
   */
  matrices: Matrix[];
}

/** `data/KEY/groups.json`: the same against groups of concepts, which take longer to find. */
export interface GroupsFile {
  /** Of scores, and of scores against peers; without columns where no concept stands out for any model. */
  matrices: Matrix[];
}

/** Scores of a candidate less those of a baseline, item by item. */
export interface Difference {
  /** Pairs that count once. */
  clusters: number;
  /** In [-1, 1]. */
  difference: number;
  low: number;
  high: number;
  /** By flipping the signs of whole clusters. */
  p_value: number;
  /** Corrected: of benchmarks by Holm, of themes and concepts by Benjamini and Hochberg. */
  q_value: number;
  /** Clusters on which the candidate did better, and ... */
  better: number;
  /** ... worse: McNemar's counts. */
  worse: number;
  /** The smallest difference found with a power of 0.8. */
  detectable: number;
  status: "better" | "worse" | "same";
}

/** A difference in one benchmark. */
export interface BenchmarkDifference {
  clusters: number;
  difference: number;
  low: number;
  high: number;
  p_value: number;
  q_value: number;
  better: number;
  worse: number;
  detectable: number;
  status: "better" | "worse" | "same";
  benchmark: string;
}

/** A difference on one theme's items, and by how much it is larger there than on other items. */
export interface ThemeDifference {
  clusters: number;
  difference: number;
  low: number;
  high: number;
  p_value: number;
  q_value: number;
  better: number;
  worse: number;
  detectable: number;
  status: "better" | "worse" | "same";
  theme: number;
  name: string | null;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
  gap_q: number | null;
}

/** A difference on one concept's items, and by how much it is larger there than on other items. */
export interface ConceptDifference {
  clusters: number;
  difference: number;
  low: number;
  high: number;
  p_value: number;
  q_value: number;
  better: number;
  worse: number;
  detectable: number;
  status: "better" | "worse" | "same";
  concept: number;
  gap: number | null;
  gap_low: number | null;
  gap_high: number | null;
  gap_q: number | null;
}

/** A candidate against a baseline on the items that both were scored on. */
export interface PairedScores {
  candidate: string;
  baseline: string;
  /** Items scored for both. */
  paired: number;
  /** Items scored for the candidate alone. */
  only_candidate: number;
  only_baseline: number;
  overall: Difference;
  benchmarks: BenchmarkDifference[];
  themes: ThemeDifference[];
  /** Empty where two models of one run are compared. */
  concepts: ConceptDifference[];
}

/**
 * Two models of the run KEY (`data/KEY/pairs/N.json`), the later one being the candidate; or the run OTHER, the
 * candidate, against the run KEY, the baseline (`data/KEY/against/OTHER.json`).
 */
export interface Pairing {
  /** Why nothing pairs; null: something does. */
  why: string | null;
  scores: PairedScores | null;
}

/** `data/KEY/search?q=TEXT` (served only): items whose texts contain it, regardless of case. */
export interface SearchResult {
  rows: number[];
  total: number;
}

/** A turn of a conversation. */
export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

/** `POST chat` (served only) takes this and answers with one `ChatEvent` a line. */
export interface ChatRequest {
  run: string;
  messages: ChatMessage[];
}

/** A query that was asked, and its result. */
export interface QueryEvent {
  type: "query";
  id: number;
  name: string;
  arguments: Record<string, unknown>;
  result: unknown;
}

/** A number in an answer. */
export interface TracedNumber {
  start: number;
  end: number;
  /** The query whose result holds it; null: none does. */
  query: number | null;
}

/** The answer of the model. */
export interface AnswerEvent {
  type: "answer";
  text: string;
  numbers: TracedNumber[];
  /** The answer ended at the token limit, so the rest of it is missing. */
  cut: boolean;
}

/** Why there is no answer. */
export interface FailureEvent {
  type: "error";
  text: string;
}

export type ChatEvent = QueryEvent | AnswerEvent | FailureEvent;

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

/** Share of a finding's weight from which it is about a benchmark. */
export const MAIN_SHARE = 0.1;

/** Outcomes of entries of lists in words, in the order in which they matter. */
export const OUTCOME_WORDS = {
  weak: "recovered as weak",
  untested: "untested by the suite",
  matched: "matched",
  "not matched": "not matched",
  "not compared": "not compared",
};

/** Why entries were not compared by examples, in words. */
export const NOT_COMPARED_WORDS = {
  few_examples: "fewer than 6 examples",
  one_half: "shares examples with others, and too few are left for one half",
  few_others: "too few others of its domain and length",
  length: "cannot be told at equal length: its examples are of other lengths than the rest",
};

/** The same of the outcomes that stand beside chance. */
export const RATE_WORDS = {
  matched: "matched in all",
  weak: "recovered as weak",
  untested: "untested by the suite",
};
