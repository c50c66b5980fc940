import { expect, it } from "vitest";
import type { ModelAnswer } from "../data/types";
import { answersOf } from "./answers";

it("puts models of one answer together: what is right first, then what most say", () => {
  const responses = [
    ["7", 0],
    ["9", 1],
    [" 7", 0],
    ["x".repeat(99), 0],
    [null, null],
    ["8", 0],
  ] as const;
  const models: ModelAnswer[] = responses.map(([response, score]) => ({ response, score, unscored: null }));
  expect(answersOf({ models }).map(({ models }) => models)).toEqual([[1], [0, 2], [3], [5], [4]]);
});
