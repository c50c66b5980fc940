/** What the outcomes of a list's entries mean, in words. */
import {
  type EntryExamples,
  type ListedEntry,
  type MatchedList,
  type MatchPair,
  NOT_COMPARED_WORDS,
  OUTCOME_WORDS,
  type OutcomeRate,
  RATE_WORDS,
} from "../data/types";
import { decimal, integer, percent, plural, probability } from "../format";
import { capital, shorten, visible } from "../text";

export type Outcome = ListedEntry["outcome"];

/** In the order in which they matter. */
export const OUTCOMES = Object.keys(OUTCOME_WORDS) as Outcome[];

const EXAMPLES: Record<Outcome, string> = {
  weak: "A weak concept or theme tells its examples from those of other entries.",
  untested:
    "Concepts tell its examples from those of other entries, and the suite misses or under-represents all of them.",
  matched: "Concepts or themes tell its examples from those of other entries; none of them is weak.",
  "not matched": "No concept and no theme tells its examples from those of other entries.",
  "not compared": "It has too few examples, or too few others of its domain and length to be compared with.",
};
const LABELS: Record<Outcome, string> = {
  weak: "The label of a weak concept says nearly the same.",
  untested: "Labels say nearly the same, and the suite misses or under-represents all of their concepts.",
  matched: "Labels of concepts say nearly the same; none of these concepts is weak.",
  "not matched": "No concept’s label is nearer to it than labels of shuffled words are.",
  "not compared": "It was not compared.",
};

export const outcomeSentence = (outcome: Outcome, by: MatchedList["by"]): string =>
  (by === "examples" ? EXAMPLES : LABELS)[outcome];

/** The same of an entry, with the reason if it was not compared. */
export const entrySentence = (entry: ListedEntry, by: MatchedList["by"]): string =>
  entry.not_compared === null
    ? outcomeSentence(entry.outcome, by)
    : `It was not compared: ${NOT_COMPARED_WORDS[entry.not_compared]}.`;

/** What the strength of a pair is called. */
export const STRENGTH: Record<MatchedList["by"], { name: string; hint: string }> = {
  examples: {
    name: "AUROC",
    hint:
      "How often the concept is stronger in an example of the entry than in another of its domain that is about as " +
      "long: 0.5 as often as not, 1 always. Measured on the half of the examples that did not choose the concept",
  },
  labels: { name: "similarity", hint: "Cosine of the entry’s text and the concept’s label, as sentence embeddings" },
};

export const LABEL_SIMILARITY = {
  name: "label",
  hint:
    "How near the concept’s label is to the entry’s description: cosine of their sentence embeddings. A second " +
    "opinion, which decides nothing",
};

export const listName = ({ name, by, where }: MatchedList): string =>
  `${shorten(visible(name), 60)}, by ${by}${where ? `, where ${shorten(visible(where), 60)}` : ""}`;

/** The same; lists of one name also say when they were compared. */
export function distinctName(list: MatchedList, lists: MatchedList[]): string {
  const name = listName(list);
  const alike = lists.filter((other) => listName(other) === name).length > 1;
  return alike ? `${name} (${list.created.slice(0, 16).replace("T", " ")})` : name;
}

/** Description of an entry; redacted, its number. */
export const entryName = (entry: ListedEntry, redacted: boolean): string =>
  redacted ? `Entry ${entry.entry}` : visible(entry.description);

export const pairName = (pair: MatchPair): string =>
  pair.label ? visible(pair.label) : pair.concept === null ? `${pair.level} ${pair.theme}` : "no label";

/** A rate beside chance as the cells of a row; what was not computed is N/A. */
export function rateCells(rate: OutcomeRate): { name: string; share: string; chance: string; p: string } {
  const interval = rate.low === null || rate.high === null ? "" : ` [${percent(rate.low)}, ${percent(rate.high)}]`;
  const range =
    rate.expected_low === null || rate.expected_high === null
      ? ""
      : ` (${integer(rate.expected_low)} to ${integer(rate.expected_high)})`;
  const share = rate.of ? `: ${percent(rate.count / rate.of)}${interval}` : "";
  return {
    name: capital(RATE_WORDS[rate.outcome]),
    share: `${integer(rate.count)} of ${integer(rate.of)}${share}`,
    chance: rate.expected === null ? "N/A" : `${decimal(rate.expected, 1)}${range}`,
    p: probability(rate.p_value),
  };
}

/** How the list was compared, and with what risk. */
export function howSentence(list: MatchedList): string {
  const level = percent(list.level);
  if (list.by === "labels")
    return (
      "Compared by labels: an entry matches a concept or theme whose label is nearer to it than labels of shuffled " +
      `words are in all but ${level} of draws.`
    );
  const risk =
    `. If an entry’s examples were written independently of each other, at most ${level} of the matched entries are ` +
    "expected to match by accident; of prompts that were written one from another, or from one template, it may be " +
    "more, as only near repeats are counted once";
  const left = list.left_out ? ` ${plural(list.left_out, "example")} could not be read.` : "";
  return (
    "Compared by examples: an entry matches the concepts and themes that tell its example prompts from those of " +
    `other entries of its domain, confirmed on the half of the examples that did not choose them${risk}.${left}`
  );
}

const AGAIN = "Run cgaps match again to see them.";
const ABSENT: Record<NonNullable<EntryExamples["absent"]>, string> = {
  labels: "The list was compared by labels, so no example of it was read.",
  none: "No example of it was read.",
  redacted: "Its examples are left out of this explorer.",
  gone: `The run that read its examples is not there any more. ${AGAIN}`,
  changed: `Where its examples were read, there is another run now. ${AGAIN}`,
};

export const absentSentence = (absent: NonNullable<EntryExamples["absent"]>): string => ABSENT[absent];
