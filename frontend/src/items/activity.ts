/** Which concepts an item lists, and how one of them is active in its text; which items a concept lists. */
import type { ActiveConcept, ConceptDetail, ItemConcepts, ItemUse } from "../data/types";

/** How a concept is active in a text. */
export interface Activity {
  peak: [number, number] | null;
  /** Ranges with activations; empty where only the peak is known. */
  tokens: [number, number, number][];
  /** The activation of the deepest colour. */
  most: number;
}

export const NO_ACTIVITY: Activity = { peak: null, tokens: [], most: 0 };

/**
 * The concepts of an item, first the one that it was opened from. `use` is how that one's own detail shows the item: an
 * export may have left the concept out of the item's list.
 */
export function listedConcepts(
  { concepts }: Pick<ItemConcepts, "concepts">,
  opener: number | null,
  use: ItemUse | null,
): ActiveConcept[] {
  const first =
    concepts.find(({ concept }) => concept === opener) ?? (opener !== null && use ? { concept: opener, ...use } : null);
  return first ? [first, ...concepts.filter(({ concept }) => concept !== opener)] : concepts;
}

/** How one of the listed concepts is active: its strongest token has the deepest colour. */
export function activityOf(concepts: ActiveConcept[], concept: number | null): Activity {
  const active = concepts.find((listed) => listed.concept === concept);
  if (!active) return NO_ACTIVITY;
  const tokens = active.tokens ?? [];
  return { peak: active.peak, tokens, most: Math.max(0, ...tokens.map(([, , activation]) => activation)) };
}

const allUses = ({ best, worst, strongest }: ConceptDetail): ItemUse[] => [...best, ...worst, ...strongest];

/** How the concept is active in the item at `row`; null: the detail does not name it. */
export const activeIn = (detail: ConceptDetail, row: number): ItemUse | null =>
  allUses(detail).find((use) => use.item === row) ?? null;

/** The strongest activation of a token in these items: the deepest colour. */
export const deepest = (detail: ConceptDetail): number =>
  Math.max(0, ...allUses(detail).flatMap((use) => use.tokens?.map((token) => token[2]) ?? []));
