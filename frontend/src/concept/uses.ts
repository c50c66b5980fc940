/** The items that a concept's detail names. */
import type { ConceptDetail, ItemUse } from "../data/types";

const all = ({ items: { best, worst, strongest } }: ConceptDetail): ItemUse[] => [...best, ...worst, ...strongest];

/** How the concept is active in the item at `row`; null: the detail does not name it. */
export const activeIn = (detail: ConceptDetail, row: number): ItemUse | null =>
  all(detail).find((one) => one.item === row) ?? null;

/** The strongest activation of a token in these items: the deepest colour. */
export const deepest = (detail: ConceptDetail): number =>
  Math.max(0, ...all(detail).flatMap((one) => one.tokens?.map((token) => token[2]) ?? []));
