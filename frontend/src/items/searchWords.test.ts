import { expect, test } from "vitest";
import { searchWords } from "./SearchState";
import type { Search } from "./useSearch";

const said = (stage: Search["stage"], found: string | null, total = 1) =>
  searchWords({ query: "new", stage, found: found === null ? null : { query: found, rows: Uint32Array.of(3), total } });

test("a count is claimed only for the words that were found", () => {
  expect(said("done", "new")).toBe(" contain “new”");
  expect(said("going", "old")).toBe(" contain “old”; searching for “new”");
  expect(said("going", null)).toBe("; searching for “new”");
  expect(said("stopped", "old")).toBe(" contain “old”; the search for “new” was stopped");
  expect(said("failed", null)).toBe("");
});

test("what is left out is told", () => {
  expect(said("done", "new", 5000)).toBe(" contain “new”; the search found 5,000 and shows the first 1");
});
