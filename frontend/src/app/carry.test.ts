import { describe, expect, it } from "vitest";
import type { RunInfo, ThemeFile } from "../data/types";
import { carried } from "./carry";

type Suite = Pick<RunInfo, "key" | "sae_sha256" | "benchmarks">;
const run = (key: string, sae_sha256: string | null, ...names: string[]) =>
  ({ key, sae_sha256, benchmarks: names.map((name) => ({ name })) }) as unknown as Suite;
const first = run("one", "aa", "maths", "law", "history");
const second = run("two", "aa", "history", "maths");
const foreign = run("three", "bb", "history", "maths");
const kept = (query: string, to: Suite, themes: [ThemeFile, ThemeFile] | null = null) =>
  carried(new URLSearchParams(query), first, to, themes);
const themed = (...names: (string | null)[]) =>
  ({ themes: names.map((name, id) => ({ level: "theme", id, name })) }) as unknown as ThemeFile;

describe("going to another run", () => {
  it("keeps search, filters and the open concept where the SAE is the same", () => {
    expect(kept("q=river&status=weak&concept=12&ids=3,4&n_eff=20&cols=gap&face=benchmark", second)).toEqual({
      q: "river",
      status: "weak",
      concept: "12",
      ids: "3,4",
      n_eff: "20",
      cols: "gap",
      face: "benchmark",
    });
  });
  it("finds benchmarks by their names, and drops those that are not there", () => {
    expect(kept("benchmark=maths&x=history&y=law&sort=-gap@history", second)).toEqual({
      benchmark: "maths",
      x: "history",
      sort: "-gap@history",
    });
    expect(kept("sort=gap@law", second)).toEqual({});
    expect(kept("benchmark=77&sort=-gap", second)).toEqual({ sort: "-gap" });
  });
  it("drops concepts of another SAE, or of one that is not known, and keeps the rest", () => {
    expect(kept("concept=12&ids=3&at=1,2,3&q=river&benchmark=maths", foreign)).toEqual({
      q: "river",
      benchmark: "maths",
    });
    const unknown = run("x", null, "maths");
    expect(carried(new URLSearchParams("concept=1"), unknown, unknown, null)).toEqual({});
  });
  it("drops items, and keeps a theme of the same number and name", () => {
    expect(kept("item=3&group=a&theme=1", second)).toEqual({});
    expect(kept("theme=1", second, [themed("a", "b"), themed("x", "b")])).toEqual({ theme: "1" });
    expect(kept("theme=0", second, [themed("a", "b"), themed("x", "b")])).toEqual({});
    expect(kept("theme=1", foreign, [themed("a", "b"), themed("x", "b")])).toEqual({});
  });
  it("changes sides where it compares with that run", () => {
    expect(kept("with=two", second)).toEqual({ with: "one" });
    expect(kept("with=three", second)).toEqual({ with: "three" });
  });
});
