import { expect, test } from "vitest";
import type { ListedEntry, MatchedList } from "../data/types";
import { chosenEntries, entryAt, firstOf, outcomeCounts } from "./choose";
import { distinctName, entrySentence, howSentence, rateCells } from "./words";

const entry = (id: string, outcome: ListedEntry["outcome"], strengths: number[] = []): ListedEntry => ({
  entry: id,
  description: `about ${id}`,
  domain: id === "c" ? "Coding" : null,
  category: null,
  score: null,
  outcome,
  not_compared: outcome === "not compared" ? "length" : null,
  examples: 3,
  pairs: strengths.map((strength, concept) => ({
    concept,
    level: null,
    theme: null,
    label: null,
    strength,
    p_value: 0.01,
    verdict: null,
    leader: null,
    label_similarity: null,
  })),
});

const list = (entries: ListedEntry[], name = "points.json"): MatchedList => ({
  name,
  by: "examples",
  created: "2026-11-26T20:21:24+00:00",
  where: null,
  level: 0.05,
  rates: [],
  entries,
  unnamed: [],
  weak_concepts: 0,
  left_out: 0,
});

const first = list([
  entry("a", "not matched"),
  entry("b", "matched", [0.7, 0.9]),
  entry("c", "matched", [0.8]),
  entry("d", "weak", [0.61]),
]);
const second = list([entry("e", "not compared")], "other.csv");

test("entries are ordered by outcome, then by their first concept", () => {
  const order = chosenEntries(first, 10, null, "").map(({ number, entry: { entry } }) => [number, entry]);
  expect(order).toEqual([
    [13, "d"],
    [12, "c"],
    [11, "b"],
    [10, "a"],
  ]);
});

test("entries are chosen by outcome and by text, whatever its case", () => {
  const ids = (outcome: ListedEntry["outcome"] | null, query: string) =>
    chosenEntries(first, 0, outcome, query).map(({ entry: { entry } }) => entry);
  expect(ids("matched", "")).toEqual(["c", "b"]);
  expect(ids(null, " CODING ")).toEqual(["c"]);
  expect(ids("weak", "coding")).toEqual([]);
});

test("entries of all lists are numbered one after the other", () => {
  const lists = [first, second];
  expect([firstOf(lists, 0), firstOf(lists, 1)]).toEqual([0, 4]);
  expect(entryAt(lists, 3)).toMatchObject({ place: 0, position: 3, entry: { entry: "d" } });
  expect(entryAt(lists, 4)).toMatchObject({ place: 1, position: 0, entry: { entry: "e" } });
  expect(entryAt(lists, 5)).toBeNull();
});

test("outcomes that no entry has are not offered", () => {
  expect(outcomeCounts(first)).toEqual([
    ["weak", 1],
    ["matched", 2],
    ["not matched", 1],
  ]);
});

test("a rate stands beside chance, and what was not computed is N/A", () => {
  const rate = { outcome: "weak" as const, count: 1, of: 40, low: 0.004, high: 0.13, p_value: 0.28 };
  const full = rateCells({ ...rate, expected: 0.31, expected_low: 0, expected_high: 2 });
  expect([full.share, full.chance, full.p]).toEqual(["1 of 40: 2% [0.4%, 13%]", "0.3 (0 to 2)", "0.280"]);
  const bare = rateCells({ ...rate, expected: null, expected_low: null, expected_high: null, p_value: null });
  expect([bare.chance, bare.p]).toEqual(["N/A", "N/A"]);
  expect(
    rateCells({ ...rate, of: 0, count: 0, low: null, high: null, expected: 0, expected_low: null, expected_high: null })
      .share,
  ).toBe("0 of 0");
});

test("lists of one name say when they were compared; what could not be read is counted", () => {
  expect(distinctName(first, [first, second])).toBe("points.json, by examples");
  expect(distinctName(first, [first, { ...first }])).toBe("points.json, by examples (2026-11-26 20:21)");
  expect(howSentence({ ...first, left_out: 1 })).toMatch(/5% of the matched entries.*1 example could not be read\.$/);
  expect(howSentence(first)).toMatch(/If an entry’s examples were written independently of each other, at most 5%/);
  expect(entrySentence(second.entries[0] as ListedEntry, "examples")).toMatch(/cannot be told at equal length/);
});
