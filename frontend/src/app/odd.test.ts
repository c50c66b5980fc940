import { describe, expect, it, vi } from "vitest";
import type { RunInfo } from "../data/types";
import { oddities } from "./odd";
import type { Route, View } from "./route";

// The address belongs to a page, and there is none here.
vi.mock("./route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

const run = { benchmarks: [{ name: "a" }, { name: "b" }] } as unknown as RunInfo;
const said = (view: View, query: string, unknown: string | null = null) => oddities({ run: "r", view, unknown, params: new URLSearchParams(query) } satisfies Route, run);

describe("an address", () => {
  it.each<[View, string]>([
    ["overview", ""], ["concepts", "status=weak,strong&coverage=missing&flags=all&bench=1&n_eff=20&qmax=0.05&theme=3"], ["items", "outcome=wrong&bench=0"],
    ["map", "flags=dense,dead"], ["card", "outcome=fail"],
  ])("%s?%s is in order", (view, query) => {
    expect(said(view, query)).toEqual([]);
  });
  it.each<[View, string, string]>([
    ["overview", "bench=2", "no benchmark “2”"], ["items", "bench=x", "no benchmark “x”"], ["items", "outcome=fail", "outcome knows no “fail”"],
    ["concepts", "status=weak,bad", "status knows no “bad”"], ["map", "coverage=none", "coverage knows no “none”"], ["concepts", "flags=nonsense", "flags knows no “nonsense”"],
    ["concepts", "n_eff=many", "n_eff=“many” is no number"], ["concepts", "theme=zzz", "theme=“zzz” is no number"],
  ])("%s?%s says: %s", (view, query, sentence) => {
    const found = said(view, query);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(sentence);
  });
  it("names a view that is not there, and shows what is invisible in it", () => {
    expect(said("overview", "", "overwiev\u202e")).toEqual([expect.stringMatching(/no view “overwiev.U\+202E.”: this is the overview/)]);
  });
});
