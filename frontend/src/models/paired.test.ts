import { describe, expect, it } from "vitest";
import type { Difference, PairedScores } from "../data/types";
import { overallSentence, pairNumber, points, surestFirst, turned, unpairedSentence } from "./paired";

const difference: Difference = {
  clusters: 100,
  difference: -0.1,
  low: -0.15,
  high: -0.04,
  p_value: 0.001,
  q_value: 0.002,
  better: 5,
  worse: 15,
  detectable: 0.08,
  status: "worse",
};
const theme = (theme: number, gap_q: number | null, q_value: number) => ({
  ...difference,
  theme,
  name: null,
  gap: 0.02,
  gap_low: -0.01,
  gap_high: 0.05,
  gap_q,
  q_value,
});
const pair: PairedScores = {
  candidate: "b",
  baseline: "a",
  paired: 120,
  only_candidate: 3,
  only_baseline: 0,
  overall: difference,
  benchmarks: [{ ...difference, benchmark: "sums", difference: 0 }],
  themes: [theme(1, 0.5, 0.5)],
  concepts: [],
};

describe("a pair of models", () => {
  it("has one number, whichever of them comes first", () => {
    const numbers = [0, 1, 2, 3].flatMap((first) => [0, 1, 2, 3].map((second) => [first, second] as const));
    const different = numbers.filter(([first, second]) => first !== second);
    for (const [first, second] of different) expect(pairNumber(first, second)).toBe(pairNumber(second, first));
    expect(new Set(different.map(([first, second]) => pairNumber(first, second)))).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    expect(pairNumber(1, 0)).toBe(0);
    expect(pairNumber(3, 1)).toBe(4);
  });
  it("says the opposite where candidate and baseline are exchanged", () => {
    const back = turned(pair);
    expect(back.overall).toMatchObject({
      difference: 0.1,
      low: 0.04,
      high: 0.15,
      better: 15,
      worse: 5,
      status: "better",
      q_value: 0.002,
    });
    expect([back.candidate, back.baseline, back.only_candidate, back.only_baseline]).toEqual(["a", "b", 0, 3]);
    expect(back.themes[0]).toMatchObject({ gap: -0.02, gap_low: -0.05, gap_high: 0.01 });
    expect(Object.is(back.benchmarks[0]!.difference, 0)).toBe(true);
    expect(turned(back)).toEqual(pair);
  });
  it("is told in words, with what could have been seen", () => {
    const text = overallSentence(pair, "b", "a");
    expect(text).toContain("b does worse than a: −10.0 points of 100 (95% interval −15.0 to −4.0, p 0.001)");
    expect(text).toContain("better on 5 and worse on 15 of 100 clusters");
    expect(text).toContain("A difference of 8.0 points");
    expect(overallSentence({ ...pair, overall: { ...difference, status: "same" } }, "b", "a")).toContain(
      "No difference between b and a is shown",
    );
    expect(unpairedSentence(pair, ["b", "a"])).toBe("Not compared: 3 items scored for b alone.");
    expect(unpairedSentence({ ...pair, only_candidate: 0 }, ["b", "a"])).toBeNull();
    expect(points(null)).toBe("N/A");
  });
  it("lists first what differs most surely from other items", () => {
    const rows = [theme(1, null, 0.001), theme(2, 0.5, 0.2), theme(3, 0.01, 0.9), theme(4, 0.5, 0.1)];
    expect(surestFirst(rows).map((row) => row.theme)).toEqual([3, 4, 2, 1]);
  });
});
