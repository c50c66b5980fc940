import { describe, expect, it } from "vitest";
import type { ListedRun, Scored } from "../data/types";
import { againstPeers, arePaired, familyOf, headOf, heads, modelsOf, outcomeWords, runOf } from "./family";

const run = (key: string, models: string | null, model: string, kind: Scored["kind"], against: string[] = []) =>
  ({
    key,
    title: key,
    models,
    scored: { model, reader: "lens", kind, against, title: key, sentence: "", scored: true },
  }) satisfies ListedRun;
const runs = [
  run("a", "a", "lens", "score"),
  run("a-peers-big", "a", "big", "peers", ["x", "y"]),
  run("a-score-big", "a", "big", "score"),
  run("a-score-small", "a", "small", "score"),
  run("b", null, "lens", "score"),
];

describe("runs of one family", () => {
  it("are listed under the run that was given", () => {
    expect(heads(runs).map(({ key }) => key)).toEqual(["a", "b"]);
    expect(headOf("a-peers-big", runs)).toBe("a");
    expect(headOf("b", runs)).toBe("b");
    expect(familyOf("a-score-big", runs)).toHaveLength(4);
    expect(familyOf("b", runs)).toEqual([]);
  });
  it("say which model reads the items", () => {
    expect(modelsOf(familyOf("a", runs))).toEqual([
      { value: "lens", label: "lens (reads the items)" },
      { value: "big", label: "big" },
      { value: "small", label: "small" },
    ]);
  });
  it("keep the kind of outcome where another model is chosen, if that was made", () => {
    const family = familyOf("a", runs);
    expect(runOf("big", runs[0]!, family)?.key).toBe("a-score-big");
    expect(runOf("big", runs[1]!, family)?.key).toBe("a-peers-big");
    expect(runOf("small", runs[1]!, family)?.key).toBe("a-score-small");
    expect(runOf("nobody", runs[1]!, family)).toBeNull();
  });
  it("are compared item by item with runs of another family, if both show scores", () => {
    const keys = runs.map(({ key }) => key);
    const pairs = keys.flatMap((a) => keys.filter((b) => arePaired(a, b, runs)).map((b) => [a, b].join(" ")));
    expect(pairs.sort()).toEqual(
      ["a", "a-score-big", "a-score-small"].flatMap((key) => [`${key} b`, `b ${key}`]).sort(),
    );
  });
  it("know the outcome that sets scores against peers", () => {
    expect(runs.map(({ key }) => againstPeers(key, runs)?.key ?? null)).toEqual([
      null,
      null,
      "a-peers-big",
      null,
      null,
    ]);
  });
  it("say what is shown of a model", () => {
    expect(runs.map(outcomeWords).slice(0, 2)).toEqual(["its scores", "against peers: x, y"]);
    expect(outcomeWords({ ...runs[0]!, scored: { ...runs[0]!.scored, scored: false } })).toBe("no scores");
  });
});
