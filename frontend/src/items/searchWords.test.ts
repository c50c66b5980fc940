import { expect, test } from "vitest";
import { searchWords } from "./SearchState";
import type { Search } from "./useSearch";

const sentenceOf = (stage: Search["stage"], result: string | null, total = 1) =>
  searchWords({
    query: "new",
    stage,
    hits: result === null ? null : { query: result, rows: Uint32Array.of(3), total },
  });

test("a count is claimed only for the words that were found", () => {
  expect(sentenceOf("done", "new")).toBe(" contain “new”");
  expect(sentenceOf("going", "old")).toBe(" contain “old”; searching for “new”");
  expect(sentenceOf("going", null)).toBe("; searching for “new”");
  expect(sentenceOf("stopped", "old")).toBe(" contain “old”; the search for “new” was stopped");
  expect(sentenceOf("failed", null)).toBe("");
});

test("what is left out is told", () => {
  expect(sentenceOf("done", "new", 5000)).toBe(" contain “new”; the search found 5,000 and shows the first 1");
});
