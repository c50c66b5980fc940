import { expect, it } from "vitest";
import { KINDS, kindMeanings } from "./kinds";

it("says of every kind what it means, with the run's thresholds", () => {
  const result = kindMeanings([
    ["metrics.dense_above", "0.25"],
    ["metrics.lexical_above", "0.3"],
    ["metrics.mixed_below", "0.2"],
  ]);
  for (const kind of KINDS) expect(result[kind].length).toBeGreaterThan(20);
  expect(result.dense).toContain("more than 25% of all tokens");
  expect(result.token).toContain("more than 30%");
  expect(result.mixed).toContain("below 0.20");
});

it("has the usual thresholds where a run does not tell its own", () => {
  expect(kindMeanings([]).token).toContain("at least 90%");
  expect(kindMeanings([["metrics.dense_above", "two words"]]).dense).toContain("more than 10%");
});
