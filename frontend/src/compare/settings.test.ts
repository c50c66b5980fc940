import { expect, it } from "vitest";
import type { RunInfo } from "../data/types";
import { differences } from "./settings";

const run = {
  scored: { model: "m", reader: "m", kind: "score", against: [], scored: true },
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
const texts = (other: Partial<RunInfo>) =>
  differences(run, { ...run, ...other }).map(({ name, a, b }) => `${name}: ${a} / ${b}`);

it("tells nothing of runs that were made alike, wherever they lie", () => {
  expect(
    texts({
      card: run.card.map((line) => (line.name === "Folder" ? { ...line, value: "/b" } : line)),
      settings: [
        ["out", "/b"],
        ["span", "question"],
      ],
    }),
  ).toEqual([]);
});
it("names what differs with both values", () => {
  expect(
    texts({
      card: run.card.map((line) => (line.name === "Span" ? { ...line, value: "prompt" } : line)),
      has: { ...run.has, lift: false },
    }),
  ).toEqual(["span: question / prompt", "verdicts on coverage: by lift / by tenths"]);
  expect(
    texts({
      scored: { ...run.scored, model: "n", reader: "n" },
      card: run.card.map((line) => (line.name === "Weights" ? { ...line, value: "v" } : line)),
    }),
  ).toEqual(["model that was scored: m / n", "model that reads the items: m / n"]);
  expect(texts({ scored: { ...run.scored, kind: "peers", against: ["n", "o"] } })).toEqual([
    "scores are taken: its scores / against peers: n, o",
  ]);
  expect(texts({ card: run.card.map((line) => (line.name === "Weights" ? { ...line, value: "v" } : line)) })).toEqual([
    "its weights: w / v",
  ]);
  expect(texts({ evidence: { ...run.evidence, min_n_eff: 10, q: 0.1 } })).toEqual([
    "smallest n_eff for a test: 20 / 10",
    "false-discovery rate: 5.0% / 10.0%",
  ]);
  expect(texts({ settings: [["metrics.under_lift", "-1.0"]] })).toEqual(["metrics.under_lift: -2.0 / -1.0"]);
});
it("tells of benchmarks, their items and how these are scored", () => {
  const [sums, words] = run.benchmarks as [RunInfo["benchmarks"][0], RunInfo["benchmarks"][0]];
  expect(texts({ benchmarks: [sums, { ...words, name: "letters" }] })).toEqual([
    "benchmarks: 1 in A only / 1 in B only",
  ]);
  expect(
    texts({
      benchmarks: [
        { ...sums, kept: 90, scored: 90 },
        { ...words, scored: 40, policy: "judge" },
      ],
    }),
  ).toEqual(["items of sums: 100 / 90", "scored items of words: 50 / 40", "scoring of words: choice / judge"]);
});
