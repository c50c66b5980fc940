import { describe, expect, it } from "vitest";
import type { Table } from "../data/table";
import { random } from "../random";
import { arranged, placed, places, radii } from "./arrange";
import { COLOURINGS, colours, palette, rgb, type Subject } from "./colouring";
import { type Box, lines, names, present, roomy } from "./names";

const ROWS = 3000;
const STATUS = ["weak", "strong", "typical", "insufficient", "untested"];

function drawn(): Table {
  const next = random(3);
  const numbers = (of: () => number) => ({ kind: "number" as const, values: Float64Array.from({ length: ROWS }, of) });
  const words = (list: (string | null)[]) => ({
    kind: "text" as const,
    values: Array.from({ length: ROWS }, () => list[Math.floor(next() * list.length)]!),
  });
  return {
    rows: ROWS,
    columns: {
      x: numbers(() => (next() < 0.1 ? NaN : 10 * next())),
      y: numbers(() => 4 * next()),
      gap: numbers(() => (next() < 0.2 ? NaN : next() - 0.5)),
      chi_bench: numbers(() => (next() < 0.2 ? 0 : next() < 0.05 ? NaN : 10 ** (4 * next() - 2))),
      lift: numbers(() => (next() < 0.1 ? Infinity : 6 * next() - 3)),
      support: numbers(() => Math.floor(1000 * next() ** 4)),
      theme: numbers(() => (next() < 0.1 ? NaN : Math.floor(30 * next()))),
      performance_status: words(STATUS),
      coverage_status: words(["missing", "under", "typical", "over", null]),
    },
  };
}

const table = drawn();
const column = (key: string) => table.columns[key]!.values;
const all = Uint32Array.from({ length: ROWS }, (_, row) => row);
const subject: Subject = { table, all, rows: all, dark: false, themeName: (theme) => `theme ${theme}` };

describe("places", () => {
  it("by meaning are the coordinates; without them there is none", () => {
    const at = places("meaning", table);
    expect([...placed(ROWS, at)]).toEqual([...all].filter((row) => !Number.isNaN(column("x")[row])));
    expect(at.y(7)).toBe(column("y")[7]);
  });
  it("by gaps need coverage above 0 and a gap", () => {
    const at = places("gaps", table);
    expect([...placed(ROWS, at)]).toEqual(
      [...all].filter((row) => Number(column("chi_bench")[row]) > 0 && !Number.isNaN(column("gap")[row])),
    );
    const row = placed(ROWS, at)[5]!;
    expect(10 ** at.x(row)).toBeCloseTo(Number(column("chi_bench")[row]), 9);
  });
});

describe("the order in which points are drawn", () => {
  const at = places("meaning", table);
  const on = placed(ROWS, at);
  const painted = colours("gap", subject);
  const radius = radii(column("support") as Float64Array, on.length);
  const passes = (row: number) => row % 3 !== 0;
  const chosen = new Set([...on].filter((row) => row % 7 === 0));
  const points = arranged({ on, places: at, passes, chosen, colours: painted, radius, backdrop: palette(false).faint });
  const rows = [...points.id];

  it("has every row once, the filtered ones as backdrop", () => {
    expect([...rows].sort((a, b) => a - b)).toEqual([...on]);
    expect(rows.slice(0, points.backdrop).every((row) => !passes(row))).toBe(true);
    expect(rows.slice(points.backdrop).every(passes)).toBe(true);
  });
  it("puts weak and strong ones, and chosen ones, over others, and small ones over large ones", () => {
    const height = (row: number) => painted.layer(row) + (chosen.has(row) ? 4 : 0);
    for (let i = points.backdrop + 1; i < points.count; i++) {
      const [below, above] = [rows[i - 1]!, rows[i]!];
      expect(height(above)).toBeGreaterThanOrEqual(height(below));
      if (height(above) === height(below))
        expect(points.radius[i]!).toBeLessThanOrEqual(points.radius[i - 1]! + 13 / 32);
    }
    const crowd = rows.findIndex((row, i) => i >= points.backdrop && height(row) >= 2);
    expect(points.crowd).toBe(crowd);
  });
  it("gives each its own place and colour; what is not chosen fades", () => {
    for (let i = points.backdrop; i < points.count; i++) {
      const row = rows[i]!;
      expect(points.x[i]).toBe(Math.fround(at.x(row)));
      expect([...points.colour.subarray(4 * i, 4 * i + 3)]).toEqual([...painted.of(row)]);
      if (!chosen.has(row)) expect(points.colour[4 * i + 3]).toBeLessThan(60);
      else expect(points.colour[4 * i + 3]).toBeGreaterThan(60);
    }
  });
});

describe("colours", () => {
  it.each(COLOURINGS)("by %s are whole numbers from 0 to 255 for every row", (by) => {
    const painted = colours(by, subject);
    for (const row of all)
      for (const part of painted.of(row))
        expect(Number.isInteger(Math.round(part)) && part >= 0 && part <= 255).toBe(true);
  });
  it("count each verdict", () => {
    const { legend } = colours("status", subject);
    if (legend.kind !== "classes") throw new Error("a legend of words");
    expect(legend.entries.map(({ name, count }) => [name, count])).toEqual(
      STATUS.map((word) => [word, (column("performance_status") as string[]).filter((text) => text === word).length]),
    );
  });
  it("count what is missing and what has no coverage", () => {
    const { legend } = colours("coverage", subject);
    if (legend.kind !== "ramp") throw new Error("a ramp");
    const values = [...(column("chi_bench") as Float64Array)];
    expect(legend.others.map((other) => other.count)).toEqual([
      values.filter((value) => value === 0).length,
      values.filter(Number.isNaN).length,
    ]);
  });
  it("of a gap do not depend on the filters, of no gap have no place on the ramp", () => {
    const few = colours("gap", { ...subject, rows: all.slice(0, 5) });
    const many = colours("gap", subject);
    for (const row of all) expect(few.of(row)).toEqual(many.of(row));
    const without = [...all].find((row) => Number.isNaN(Number(column("gap")[row])))!;
    expect(many.of(without)).toEqual(palette(false).faint);
  });
  it("are read from both ways of writing them", () => {
    expect(rgb("#0a10ff")).toEqual([10, 16, 255]);
    expect(rgb("rgb(1, 20, 255)")).toEqual([1, 20, 255]);
  });
});

describe("names of themes", () => {
  it("stand at the median of their members, those with most members first", () => {
    const themes = Array.from({ length: 32 }, (_, id) => ({
      level: "theme" as const,
      id,
      name: id === 4 ? null : `T${id}`,
    }));
    const results = names(
      "theme",
      themes as never,
      table,
      placed(ROWS, places("meaning", table)),
      (name, id) => name ?? `theme ${id}`,
    );
    // 30 and 31 have no member.
    expect(results.length).toBe(30);
    const members = (id: number) =>
      [...all].filter((row) => column("theme")[row] === id && !Number.isNaN(column("x")[row]));
    for (const name of results) {
      const xs = members(name.id)
        .map((row) => Number(column("x")[row]))
        .sort((a, b) => a - b);
      expect(name.members).toBe(xs.length);
      expect(xs.filter((x) => x < name.x).length).toBeLessThanOrEqual(xs.length / 2);
      expect(xs.filter((x) => x > name.x).length).toBeLessThanOrEqual(xs.length / 2);
    }
    expect(results.map((name) => name.members)).toEqual(results.map((name) => name.members).sort((a, b) => b - a));
    expect(results.find((name) => name.id === 4)?.text).toBe("theme 4");
    const few = Uint32Array.from(members(3).slice(0, 2).concat(members(9).slice(0, 5)));
    expect(present(results, column("theme") as Float64Array, few).map((name) => name.id)).toEqual([9, 3]);
  });
  it("do not touch each other, and leave none out that has room", () => {
    const next = random(8);
    const boxes = Array.from(
      { length: 200 },
      (): Box => ({ x: 800 * next(), y: 500 * next(), width: 40 + 120 * next(), height: 18 }),
    );
    const kept = roomy(boxes, 200);
    const edges = ({ x, y, width, height }: Box) =>
      [x - width / 2, x + width / 2, y - height / 2, y + height / 2] as const;
    const apart = (a: Box, b: Box) => {
      const [left, right, top, bottom] = edges(a);
      const [otherLeft, otherRight, otherTop, otherBottom] = edges(b);
      return right <= otherLeft || otherRight <= left || bottom <= otherTop || otherBottom <= top;
    };
    for (const i of kept) for (const j of kept) if (i !== j) expect(apart(boxes[i]!, boxes[j]!)).toBe(true);
    for (let i = 0; i < boxes.length; i++)
      if (!kept.includes(i)) expect(kept.some((j) => j < i && !apart(boxes[i]!, boxes[j]!))).toBe(true);
    expect(roomy(boxes, 5)).toEqual(kept.slice(0, 5));
  });
});

describe("lines of a name", () => {
  it.each([
    "Sums",
    "Quotation marks, brackets and symbols",
    "Separators and conjunctions in lists of many things that go on and on until nobody reads them any more",
    "Pneumonoultramicroscopicsilicovolcanoconiosis of words",
  ])("hold all of %s", (name) => {
    const texts = lines(name);
    expect(texts.join(" ")).toBe(name);
    expect(texts.length).toBeLessThanOrEqual(5);
    const longest = Math.max(...name.split(" ").map((word) => word.length));
    for (const line of texts) expect(line.length).toBeLessThanOrEqual(Math.max(22, longest, name.length / 4));
  });
});
