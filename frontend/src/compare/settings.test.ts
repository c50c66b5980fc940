import { expect, it } from "vitest";
import type { RunInfo } from "../data/types";
import { differences } from "./settings";

const run = {
  model: "m",
  sae: "s",
  sae_sha256: "abc",
  has: { lift: true },
  evidence: { min_n_eff: 20, q: 0.05, level: 0.95 },
  card: [
    { name: "Weights", value: "w", note: "" },
    { name: "Span", value: "question", note: "" },
    { name: "Reference", value: "reference.parquet", note: "base rates" },
    { name: "Folder", value: "/a", note: "" },
  ],
  settings: [
    ["span", "question"],
    ["out", "/a"],
    ["metrics.under_lift", "-2.0"],
    ["benchmarks", "[...]"],
  ],
  benchmarks: [
    { name: "sums", kept: 100, scored: 100, policy: "choice" },
    { name: "words", kept: 50, scored: 50, policy: "choice" },
  ],
} as unknown as RunInfo;
const said = (other: Partial<RunInfo>) =>
  differences(run, { ...run, ...other }).map(({ name, a, b }) => `${name}: ${a} / ${b}`);

it("tells nothing of runs that were made alike, wherever they lie", () => {
  expect(
    said({
      card: run.card.map((one) => (one.name === "Folder" ? { ...one, value: "/b" } : one)),
      settings: [
        ["out", "/b"],
        ["span", "question"],
      ],
    }),
  ).toEqual([]);
});
it("names what differs with both values", () => {
  expect(
    said({
      card: run.card.map((one) => (one.name === "Span" ? { ...one, value: "prompt" } : one)),
      has: { ...run.has, lift: false },
    }),
  ).toEqual(["span: question / prompt", "verdicts on coverage: by lift / by tenths"]);
  expect(
    said({ model: "n", card: run.card.map((one) => (one.name === "Weights" ? { ...one, value: "v" } : one)) }),
  ).toEqual(["model: m / n"]);
  expect(said({ card: run.card.map((one) => (one.name === "Weights" ? { ...one, value: "v" } : one)) })).toEqual([
    "the model’s weights: w / v",
  ]);
  expect(said({ evidence: { ...run.evidence, min_n_eff: 10, q: 0.1 } })).toEqual([
    "smallest n_eff for a test: 20 / 10",
    "false-discovery rate: 5.0% / 10.0%",
  ]);
  expect(said({ settings: [["metrics.under_lift", "-1.0"]] })).toEqual(["metrics.under_lift: -2.0 / -1.0"]);
});
it("tells of benchmarks, their items and how these are scored", () => {
  const [sums, words] = run.benchmarks as [RunInfo["benchmarks"][0], RunInfo["benchmarks"][0]];
  expect(said({ benchmarks: [sums, { ...words, name: "letters" }] })).toEqual([
    "benchmarks: 1 in A only / 1 in B only",
  ]);
  expect(
    said({
      benchmarks: [
        { ...sums, kept: 90, scored: 90 },
        { ...words, scored: 40, policy: "judge" },
      ],
    }),
  ).toEqual(["items of sums: 100 / 90", "scored items of words: 50 / 40", "scoring of words: choice / judge"]);
});
