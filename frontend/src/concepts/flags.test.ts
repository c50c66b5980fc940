import { expect, it } from "vitest";
import { FLAGS, flagMeanings } from "./flags";

it("says of every flag what it means, with the run's thresholds", () => {
  const result = flagMeanings([
    ["metrics.dense_above", "0.25"],
    ["metrics.template_above", "0.5"],
  ]);
  for (const flag of FLAGS) expect(result[flag].length).toBeGreaterThan(20);
  expect(result.dense).toContain("more than 25% of all tokens");
  expect(result.template).toContain("more than 50%");
});

it("has the usual thresholds where a run does not tell its own", () => {
  expect(flagMeanings([]).exact_token).toContain("at least 90%");
  expect(flagMeanings([["metrics.dense_above", "two words"]]).dense).toContain("more than 10%");
});
