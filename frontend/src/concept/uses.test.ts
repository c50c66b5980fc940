import { expect, it } from "vitest";
import type { ConceptDetail, ItemUse } from "../data/types";
import { activeIn, deepest } from "./uses";

const one = (item: number, tokens: ItemUse["tokens"]): ItemUse => ({
  item,
  score: 0,
  cas: 1,
  saliency: 0.5,
  peak: [0, 1],
  tokens,
});
const detail = {
  items: {
    best: [one(3, null)],
    worst: [one(4, [[0, 1, 2.5]])],
    strongest: [
      one(4, [[0, 1, 2.5]]),
      one(9, [
        [2, 3, 7],
        [4, 5, 1],
      ]),
    ],
  },
} as unknown as ConceptDetail;

it("finds the item among all that the detail names", () => {
  expect(activeIn(detail, 9)?.tokens).toHaveLength(2);
  expect(activeIn(detail, 4)?.tokens).toEqual([[0, 1, 2.5]]);
  expect(activeIn(detail, 3)?.tokens).toBeNull();
  expect(activeIn(detail, 5)).toBeNull();
});

it("takes the deepest colour of all of them, so that one colour means the same in each", () => {
  expect(deepest(detail)).toBe(7);
  expect(deepest({ items: { best: [], worst: [], strongest: [] } } as unknown as ConceptDetail)).toBe(0);
});
