import { describe, expect, it } from "vitest";
import type { Branch } from "./themes";
import { stepOf } from "./treeKeys";

const branch = (level: "theme" | "subtheme", id: number, parent: number | null, children: Branch[] = []) =>
  ({ theme: { level, id, parent }, children }) as unknown as Branch;
const subs = [branch("subtheme", 10, 1), branch("subtheme", 11, 1)];
const [first, second, third] = [
  branch("theme", 1, null, subs),
  branch("theme", 2, null),
  branch("theme", 3, null, [branch("subtheme", 12, 3)]),
];
const closed = [first, second, third];
const open = [first, ...subs, second, third];
const none = new Set<number>();
const value = new Set([1]);

describe("keys of the tree", () => {
  it("move by one row, and stop at both ends", () => {
    expect(stepOf("ArrowDown", open, 0, value)).toEqual({ to: 1 });
    expect(stepOf("ArrowDown", open, 4, value)).toEqual({ to: 4 });
    expect(stepOf("ArrowUp", open, 3, value)).toEqual({ to: 2 });
    expect(stepOf("ArrowUp", open, 0, value)).toEqual({ to: 0 });
    expect(stepOf("Home", open, 3, value)).toEqual({ to: 0 });
    expect(stepOf("End", closed, 0, none)).toEqual({ to: 2 });
  });
  it("open a theme with subthemes, and go into an open one", () => {
    expect(stepOf("ArrowRight", closed, 0, none)).toEqual({ to: 0, toggle: 1 });
    expect(stepOf("ArrowRight", open, 0, value)).toEqual({ to: 1 });
    expect(stepOf("ArrowRight", closed, 1, none)).toEqual({ to: 1 });
  });
  it("go from a subtheme to its theme, and close that", () => {
    expect(stepOf("ArrowLeft", open, 2, value)).toEqual({ to: 0 });
    expect(stepOf("ArrowLeft", open, 0, value)).toEqual({ to: 0, toggle: 1 });
    expect(stepOf("ArrowLeft", closed, 2, none)).toEqual({ to: 2 });
  });
  it("leave other keys to the page", () => {
    for (const key of ["Tab", "Enter", " ", "Escape", "a"]) expect(stepOf(key, open, 0, value)).toBeNull();
    expect(stepOf("ArrowDown", [], -1, none)).toBeNull();
  });
});
