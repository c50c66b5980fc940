import { expect, it } from "vitest";
import { FLAGS, flagMeanings } from "./flags";

it("says of every flag what it means, with the run's thresholds", () => {
  const said = flagMeanings([
    ["metrics.dense_above", "0.25"],
    ["metrics.template_above", "0.5"],
  ]);
  for (const flag of FLAGS) expect(said[flag].length).toBeGreaterThan(20);
  expect(said.dense).toContain("more than 25% of all tokens");
  expect(said.template).toContain("more than 50%");
});

it("has the usual thresholds where a run does not tell its own", () => {
  expect(flagMeanings([]).exact_token).toContain("at least 90%");
  expect(flagMeanings([["metrics.dense_above", "two words"]]).dense).toContain("more than 10%");
});
