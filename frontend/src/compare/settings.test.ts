import { expect, it } from "vitest";
import type { RunInfo } from "../data/types";
import { settingsThatDiffer } from "./settings";

it("settings are told where both runs have them and they differ", () => {
  const runWith = (model: string, span: string, settings: [string, string][]) =>
    ({ scored: { model }, card: [{ name: "Span", value: span, note: "" }], settings }) as unknown as RunInfo;
  const [a, b] = [
    runWith("m", "prompt", [
      ["out", "x"],
      ["evidence.q", "0.05"],
    ]),
    runWith("m", "all", [["out", "y"]]),
  ];
  expect(settingsThatDiffer(a, b)).toEqual(["Span (prompt / all)"]);
  expect(settingsThatDiffer(a, a)).toEqual([]);
});
