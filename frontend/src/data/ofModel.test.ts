import { describe, expect, it } from "vitest";
import { ofModel } from "./ofModel";
import type { ItemDetail, RunInfo } from "./types";

const item = {
  text: "2 + 2",
  score: 1,
  response: "four",
  unscored: null,
  details: { chosen: 1 },
  logprobs: [-0.5],
  models: [
    { score: 1, response: "four", unscored: null },
    { score: null, response: "fish", unscored: "not parsed" },
  ],
} as unknown as ItemDetail;
const run = (home: string, model: string) =>
  ({ key: "a", home, models: ["lens", "big"], scored: { model } }) as unknown as RunInfo;

describe("an item", () => {
  it("is its run's own, or has what the outcome's model did in place of it", () => {
    expect(ofModel(run("a", "lens"), item)).toBe(item);
    const shown = ofModel(run("home", "big"), item);
    expect(shown).toMatchObject({ text: "2 + 2", score: null, response: "fish", unscored: "not parsed" });
    expect([shown.details, shown.logprobs]).toEqual([null, []]);
    expect(shown.models).toBe(item.models);
  });
  it("is refused where the model is missing", () => {
    expect(() => ofModel(run("home", "small"), item)).toThrow("no answers of small");
  });
});
