import { describe, expect, it, vi } from "vitest";
import { onlyHere, selectionOf, selectionParam } from "./selection";

// The address belongs to a page, and there is none here.
vi.mock("./route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

describe("a choice of concepts in the address", () => {
  it("is spelt out while it is short", () => {
    const ids = Uint32Array.of(3, 17, 131071);
    expect(selectionParam(ids)).toBe("3,17,131071");
    expect([...selectionOf("3,17,131071")!]).toEqual([3, 17, 131071]);
  });
  it("is spelt out as long as an address holds it, so that another tab reads the same", () => {
    const long = Uint32Array.from({ length: 1300 }, (_, i) => 7 * i);
    const param = selectionParam(long)!;
    expect(param.length).toBeLessThan(8000);
    expect(onlyHere(param)).toBe(false);
    expect([...selectionOf(param)!]).toEqual([...long]);
  });
  it("is kept in the tab under a word of its own when no address holds it, and the oldest are forgotten", () => {
    const long = (start: number) => Uint32Array.from({ length: 60_000 }, (_, i) => 2 * i + start);
    const first = selectionParam(long(0))!;
    expect(first).toMatch(/^tab-[0-9a-f]{24}$/);
    expect(onlyHere(first)).toBe(true);
    expect([...selectionOf(first)!]).toEqual([...long(0)]);
    const later = Array.from({ length: 30 }, (_, i) => selectionParam(long(i))!);
    expect(new Set(later).size).toBe(30);
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
