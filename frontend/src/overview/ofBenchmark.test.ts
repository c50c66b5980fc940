import { describe, expect, it } from "vitest";
import type { Benchmark } from "../data/types";
import { benchmarkFindings } from "./ofBenchmark";

const benchmark: Benchmark = {
  name: "maths", items: 120, kept: 110, excluded: 10, scored: 100, mean_score: 0.1234, covered: 60, missing: 30, alive: 90, mean_span_tokens: 9,
  tested: 40, weak: 3, strong: 1, policy: "p", scope: null, warnings: [], figures: [], left_out: [],
};
const said = (change: Partial<Benchmark>, face: "model" | "benchmark" = "model") => benchmarkFindings({ ...benchmark, ...change }, 4, face);

describe("a benchmark's findings", () => {
  it("have its numbers with their denominators, and lead to what they count", () => {
    const [score, weak, strong, missing] = said({});
    expect(score).toMatchObject({ number: "12%", link: "items?bench=4" });
    expect(score!.sentence).toContain("100 scored items of 110 kept");
    expect(weak).toMatchObject({ number: "3", tone: "weak", link: "concepts?face=model&bench=4&status=weak" });
    expect(weak!.sentence).toContain("of 40 concepts tested within it are weak");
    expect(strong!.sentence).toContain("of 40 concepts tested within it is strong");
    expect(missing).toMatchObject({ number: "30", link: "concepts?face=benchmark&bench=4&coverage=missing&flags=all" });
    expect(missing!.sentence).toContain("of 90 alive concepts (33%)");
  });
  it("begin with coverage when one asks about the benchmarks", () => {
    expect(said({}, "benchmark")[0]!.number).toBe("30");
  });
  it("say so where nothing is scored, tested or kept", () => {
    expect(said({ mean_score: null, scored: 0, tested: 0 }).map((one) => one.number)).toEqual(["N/A", "30"]);
    expect(said({ tested: 0 }).map((one) => one.sentence).join(" ")).toContain("enough of its items to be tested");
    expect(said({ kept: 0 })).toHaveLength(1);
    expect(said({ weak: 0 })[1]).toMatchObject({ number: "0", tone: "", link: null });
  });
});
