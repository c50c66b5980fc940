import { expect, it } from "vitest";
import type { Theme } from "../data/types";
import { themePairs } from "./byTheme";

const theme = (name: string | null, gap: number | null, level: Theme["level"] = "theme") =>
  ({ name, gap, level }) as unknown as Theme;

it("has the largest difference first, undefined ones last, and only themes of the same name", () => {
  const first = [
    theme("n/a", null),
    theme("small", 0.01),
    theme("z tie", 0.1),
    theme("a tie", -0.1),
    theme("large", -0.3),
    theme("mine", 0.9),
    theme(null, 0.5),
    theme("small", 0.7, "subtheme"),
  ];
  const second = [
    theme("a tie", 0.1),
    theme("n/a", 0.2),
    theme("large", 0.3),
    theme("small", 0.011),
    theme("z tie", -0.1),
    theme("yours", 0.9),
    theme(null, 0.5),
  ];
  const pairs = themePairs(first, second);
  expect(pairs.map((pair) => pair.name)).toEqual(["large", "a tie", "z tie", "small", "n/a"]);
  expect(pairs.map((pair) => pair.difference)).toEqual([
    expect.closeTo(0.6),
    expect.closeTo(0.2),
    expect.closeTo(-0.2),
    expect.closeTo(0.001),
    null,
  ]);
});
