import { describe, expect, it, vi } from "vitest";
import { selectionOf, selectionParam } from "./selection";

// The address belongs to a page, and there is none here.
vi.mock("./route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

describe("a choice of concepts in the address", () => {
  it("is spelt out while it is short", () => {
    const ids = Uint32Array.of(3, 17, 131071);
    expect(selectionParam(ids)).toBe("3,17,131071");
    expect([...selectionOf("3,17,131071")!]).toEqual([3, 17, 131071]);
  });
  it("is kept in the tab when it is long, and the oldest are forgotten", () => {
    const long = (start: number) => Uint32Array.from({ length: 300 }, (_, i) => start + i);
    const first = selectionParam(long(0))!;
    expect(first.length).toBeLessThan(20);
    expect([...selectionOf(first)!]).toEqual([...long(0)]);
    const later = Array.from({ length: 30 }, (_, i) => selectionParam(long(i))!);
    expect(selectionOf(first)).toBeNull();
    expect([...selectionOf(later.at(-1)!)!]).toEqual([...long(29)]);
  });
  it("is ascending and without doubles, whoever wrote it", () => {
    expect([...selectionOf("20,3,3,100")!]).toEqual([3, 20, 100]);
  });
  it.each([null, "", "x", "1,,2", "-1", "1;2", "tab-99999", "1e3"])("%s is none", (param) => {
    expect(selectionOf(param)).toBeNull();
  });
  it("of nothing is none", () => {
    expect(selectionParam(null)).toBeNull();
    expect(selectionParam(new Uint32Array())).toBeNull();
  });
});
