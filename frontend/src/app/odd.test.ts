import { describe, expect, it, vi } from "vitest";
import type { RunInfo, Theme } from "../data/types";
import { oddities } from "./odd";
import type { Route, View } from "./route";

// The address belongs to a page, and there is none here.
vi.mock("./route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

const themes = [
  { level: "theme", id: 3 },
  { level: "subtheme", id: 12 },
] as Theme[];
const columns = ["label", "gap", "chi_model"].map((key) => ({ key, per_benchmark: key !== "label" }));
const run = {
  benchmarks: [{ name: "a" }, { name: "b" }],
  columns,
  width: 50,
  has: { themes: false },
} as unknown as RunInfo;
const texts = (view: View, query: string, unknown: string | null = null) =>
  oddities(
    { run: "r", view, rest: "", unknown, params: new URLSearchParams(query) } satisfies Route,
    run,
    ["s"],
    themes,
  );

describe("an address", () => {
  it.each<[View, string]>([
    ["overview", ""],
    ["concepts", "status=weak,strong&coverage=missing&kinds=all&benchmark=b&n_eff=20&qmax=0.05&theme=3"],
    ["items", "outcome=wrong&benchmark=a"],
    ["map", "kinds=dense,dead&colour=lift&layout=gaps&face=benchmark"],
    ["card", "outcome=fail&sort=nothing&colour=x"],
    ["concepts", "sort=-gap&each=gap&cols=gap,p_value"],
    ["concepts", "sort=chi_model@b&cols=none&theme=3&subtheme=12&ids=3,49"],
    ["items", "sort=-n_tokens"],
    ["compare", "sort=-difference&with=s"],
    ["correlation", "x=b&y=a&measure=gap&matrix=cosine"],
  ])("%s?%s is in order", (view, query) => {
    expect(texts(view, query)).toEqual([]);
  });
  it.each<[View, string, string]>([
    ["overview", "benchmark=c", "no benchmark “c”"],
    ["items", "benchmark=x", "no benchmark “x”"],
    ["items", "outcome=fail", "outcome cannot be “fail”"],
    ["concepts", "status=weak,bad", "status cannot be “bad”"],
    ["map", "coverage=none", "coverage cannot be “none”"],
    ["concepts", "kinds=nonsense", "kinds cannot be “nonsense”"],
    ["concepts", "n_eff=many", "n_eff=“many” is not a number"],
    ["concepts", "theme=zzz", "theme=“zzz” is not the number"],
    ["concepts", "sort=nothing", "There is no column “nothing”"],
    ["concepts", "sort=gap@c", "There is no column “gap@c”"],
    ["concepts", "sort=-__proto__", "There is no column “-__proto__”"],
    ["items", "sort=toString", "There is no column “toString”"],
    ["compare", "sort=constructor", "There is no column “constructor”"],
    ["concepts", "each=toString", "each cannot be “toString”"],
    ["concepts", "cols=gap,__proto__", "cols cannot be “__proto__”"],
    ["map", "colour=__proto__", "colour cannot be “__proto__”"],
    ["map", "colour=theme", "colour cannot be “theme”"],
    ["map", "colour=gap,lift", "colour cannot be “gap,lift”"],
    ["map", "layout=toString", "layout cannot be “toString”"],
    ["correlation", "matrix=toString", "matrix cannot be “toString”"],
    ["correlation", "measure=__proto__", "measure cannot be “__proto__”"],
    ["correlation", "y=c", "no benchmark “c”"],
    ["card", "face=toString", "face cannot be “toString”"],
    ["compare", "with=r", "no other run “r”"],
    ["concepts", "theme=999", "no theme “999”"],
    ["map", "theme=3&subtheme=3", "no subtheme “3”"],
    ["concepts", "ids=tab-0123456789", "a selection made in another tab"],
    ["map", "ids=!", "ids=“!” is not a selection of concepts"],
    ["map", "ids=3,50,51", "2 of these concepts do not exist"],
  ])("%s?%s says: %s", (view, query, sentence) => {
    const list = texts(view, query);
    expect(list).toHaveLength(1);
    expect(list[0]).toContain(sentence);
  });
  it("names a view that is not there, and shows what is invisible in it", () => {
    expect(texts("overview", "", "overwiev\u202e")).toEqual([
      expect.stringMatching(/no view “overwiev.U\+202E.”: this is the overview/),
    ]);
  });
});
