/** Which entries of a list are shown, and in which order. */
import type { ListedEntry, MatchedList } from "../data/types";
import { OUTCOMES, type Outcome } from "./words";

export interface Chosen {
  entry: ListedEntry;
  /** Its number on the page. */
  number: number;
}

/** Number on the page of a list's first entry: the entries of all lists follow one another. */
export const firstOf = (lists: MatchedList[], place: number): number =>
  lists.slice(0, place).reduce((sum, list) => sum + list.entries.length, 0);

/** The entry of a number, the list that it is of, and that list's place; null: there is none. */
export function entryAt(lists: MatchedList[], number: number) {
  let first = 0;
  for (const [place, list] of lists.entries()) {
    const entry = list.entries[number - first];
    if (entry) return { list, place, entry, position: number - first };
    first += list.entries.length;
  }
  return null;
}

/** Of its strongest concept, or of its strongest theme where no concept matches it. */
const strongest = (entry: ListedEntry): number => entry.pairs[0]?.strength ?? -Infinity;

/** Entries of an outcome (null: of any) that hold a text; by outcome, and the strongest first. */
export function chosenEntries(list: MatchedList, first: number, outcome: Outcome | null, query: string): Chosen[] {
  const text = query.trim().toLowerCase();
  const holds = ({ entry, description, domain, category }: ListedEntry) =>
    [entry, description, domain, category].some((part) => part?.toLowerCase().includes(text));
  return list.entries
    .map((entry, position) => ({ entry, number: first + position }))
    .filter(({ entry }) => (outcome === null || entry.outcome === outcome) && (text === "" || holds(entry)))
    .sort(
      (a, b) =>
        OUTCOMES.indexOf(a.entry.outcome) - OUTCOMES.indexOf(b.entry.outcome) ||
        strongest(b.entry) - strongest(a.entry) ||
        0,
    );
}

/** How many entries have each outcome; outcomes of none are left out. */
export function outcomeCounts(list: MatchedList): [Outcome, number][] {
  const count = (outcome: Outcome) => list.entries.filter((entry) => entry.outcome === outcome).length;
  return OUTCOMES.map((outcome): [Outcome, number] => [outcome, count(outcome)]).filter(([, n]) => n > 0);
}
