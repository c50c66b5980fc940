import { describe, expect, it } from "vitest";
import type { Theme } from "../data/types";
import { chosenThemes } from "./chosen";

const theme = (id: number, gap: number | null, performance_status: string) =>
  ({
    level: "theme",
    id,
    ranked: 10,
    gap,
    q_value: gap === null ? null : 0.5,
    performance_status,
    missing_concepts: id,
    chi_bench_mean: 1,
  }) as unknown as Theme;
const weak = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => theme(from + i, -0.9 + 0.1 * i, "weak"));
const others = (count: number, from = 50) =>
  Array.from({ length: count }, (_, i) => theme(from + i, -0.55 + 0.05 * i, "typical"));
const chosen = (themes: Theme[]) => chosenThemes(themes, "model");

describe("themes of the model's gaps", () => {
  it("are the weak ones, though another has a lower gap", () => {
    const { themes, title, choice } = chosen([...others(21), ...weak(8)]);
    expect(themes.map((theme) => theme.id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([title, choice]).toEqual(["Weak themes", "All weak themes: 8 of 29 tested."]);
  });
  it("go on with the lowest gaps of the others", () => {
    const { themes, title, choice } = chosen([...others(20).reverse(), ...weak(3)]);
    expect(themes.map((theme) => theme.id)).toEqual([0, 1, 2, 50, 51, 52, 53, 54]);
    expect([title, choice]).toEqual([
      "Weak themes, then the lowest gaps",
      "3 weak of 23 tested, then the 5 lowest of the others.",
    ]);
  });
  it("say how many they are, whatever there is", () => {
    expect(chosen(weak(12)).choice).toBe("The 8 lowest gaps of 12 weak themes; 12 tested.");
    expect(chosen(weak(5)).choice).toBe("All 5 tested themes, each weak.");
    expect(chosen(others(29)).choice).toBe("The 8 lowest of 29 tested; none is weak.");
    expect(chosen(others(1)).choice).toBe("The only theme that could be tested.");
    expect(chosen([...weak(2), ...others(1)]).choice).toBe("2 weak of 3 tested, then the 1 other.");
    expect(chosen([theme(1, null, "untested")]).themes).toEqual([]);
  });
});

it("of the benchmarks' gaps are the largest missing shares", () => {
  const { themes, choice } = chosenThemes(others(20), "benchmark");
  expect(themes.map((theme) => theme.id)).toEqual([69, 68, 67, 66, 65, 64, 63, 62]);
  expect(choice).toBe("The 8 largest missing shares of 20 themes.");
});
