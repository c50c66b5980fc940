import { expect, it } from "vitest";
import type { ActiveConcept, ConceptDetail, ItemUse } from "../data/types";
import { activeIn, activityOf, deepest, listedConcepts, NO_ACTIVITY } from "./activity";

const active = (concept: number, tokens: ActiveConcept["tokens"]): ActiveConcept => ({
  concept,
  cas: 1,
  saliency: 0.5,
  peak: [4, 6],
  tokens,
});
const first = active(7, [
  [0, 2, 1.5],
  [4, 6, 3],
]);
const second = active(9, [[2, 4, 0.25]]);
const concepts = [first, second];
const use: ItemUse = { item: 3, score: 1, cas: 2, saliency: 0.25, peak: [0, 2], tokens: [[0, 2, 8]] };

it("lists the concept that the item was opened from first, the others in their order", () => {
  expect(listedConcepts({ concepts }, 9, null)).toEqual([second, first]);
  expect(listedConcepts({ concepts }, null, null)).toBe(concepts);
  expect(listedConcepts({ concepts }, 5, null)).toBe(concepts);
});

it("takes a concept that an export leaves out from that concept's own detail", () => {
  const [opener, ...others] = listedConcepts({ concepts }, 5, use);
  expect(opener).toMatchObject({ concept: 5, cas: 2, tokens: [[0, 2, 8]] });
  expect(others).toEqual(concepts);
});

it("gives each concept's own tokens, its strongest token the deepest colour", () => {
  expect(activityOf(concepts, 7)).toEqual({ peak: [4, 6], tokens: first.tokens, most: 3 });
  expect(activityOf(concepts, 9)).toEqual({ peak: [4, 6], tokens: second.tokens, most: 0.25 });
});

it("knows only the peak if the run kept no token activations, and nothing about a concept that is not listed", () => {
  expect(activityOf([active(7, null)], 7)).toEqual({ peak: [4, 6], tokens: [], most: 0 });
  expect(activityOf(concepts, 5)).toBe(NO_ACTIVITY);
  expect(activityOf(concepts, null)).toBe(NO_ACTIVITY);
});

const itemUse = (item: number, tokens: ItemUse["tokens"]): ItemUse => ({
  item,
  score: 0,
  cas: 1,
  saliency: 0.5,
  peak: [0, 1],
  tokens,
});
const detail = {
  best: [itemUse(3, null)],
  worst: [itemUse(4, [[0, 1, 2.5]])],
  strongest: [
    itemUse(4, [[0, 1, 2.5]]),
    itemUse(9, [
      [2, 3, 7],
      [4, 5, 1],
    ]),
  ],
} as unknown as ConceptDetail;

it("finds the item among all that the detail names", () => {
  expect(activeIn(detail, 9)?.tokens).toHaveLength(2);
  expect(activeIn(detail, 4)?.tokens).toEqual([[0, 1, 2.5]]);
  expect(activeIn(detail, 3)?.tokens).toBeNull();
  expect(activeIn(detail, 5)).toBeNull();
});

it("takes the deepest colour of all of them, so that one colour means the same in each", () => {
  expect(deepest(detail)).toBe(7);
  expect(deepest({ best: [], worst: [], strongest: [] } as unknown as ConceptDetail)).toBe(0);
});
