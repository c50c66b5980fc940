import { expect, it } from "vitest";
import type { Theme, ThemeDifference } from "../data/types";
import { themePairs } from "./byTheme";

const theme = (id: number, name: string | null, gap: number | null, level: Theme["level"] = "theme") =>
  ({ id, name, gap, level }) as unknown as Theme;
const difference = (theme: number, q_value: number) => ({ theme, q_value }) as unknown as ThemeDifference;

const first = [
  theme(0, "n/a", null),
  theme(1, "small", 0.01),
  theme(2, "z tie", -0.1),
  theme(3, "a tie", -0.1),
  theme(4, "large", -0.3),
  theme(5, "mine", 0.9),
  theme(6, null, 0.5),
  theme(1, "small", 0.7, "subtheme"),
];
const second = ["a tie", "n/a", "large", "small", "z tie", "yours", null].map((name, id) => theme(10 + id, name, 0.1));

it("has the lowest gap first, undefined ones last, and only themes of the same name", () => {
  const pairs = themePairs(first, second, []);
  expect(pairs.map((pair) => pair.name)).toEqual(["large", "a tie", "z tie", "small", "n/a"]);
  expect(pairs.every((pair) => pair.difference === null)).toBe(true);
});
it("has the surest paired difference first, by the numbers of the first run's themes", () => {
  const pairs = themePairs(first, second, [difference(0, 0.9), difference(1, 0.001), difference(12, 0)]);
  expect(pairs.map((pair) => pair.name)).toEqual(["small", "n/a", "large", "a tie", "z tie"]);
  expect(pairs.map((pair) => pair.difference?.q_value ?? null)).toEqual([0.001, 0.9, null, null, null]);
});
