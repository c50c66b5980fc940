import { describe, expect, it } from "vitest";
import { random } from "../random";
import {
  among,
  type Column,
  columnNamed,
  everyRow,
  numbers,
  ranks,
  select,
  sorted,
  sortedBy,
  type Table,
  texts,
  value,
} from "./table";

function drawn(rows: number): Table {
  const next = random(7);
  const some = <T>(value: T, none: T) => (next() < 0.2 ? none : value);
  const float: Column = {
    kind: "number",
    values: Float32Array.from({ length: rows }, () => some(Math.round(20 * next()) / 4 - 2, NaN)),
  };
  float.values[3] = Infinity;
  float.values[4] = -Infinity;
  const text: Column = {
    kind: "text",
    values: Array.from({ length: rows }, () =>
      some(`${next() < 0.5 ? "b" : "A"} ${Math.floor(30 * next())}`, null as never),
    ),
  };
  return { rows, columns: { float, text } };
}

/** Insertion of one row after the other: slow and plain. */
function plain(rows: number[], before: (a: number, b: number) => boolean): number[] {
  const order: number[] = [];
  for (const row of rows) {
    const position = order.findIndex((other) => before(row, other));
    order.splice(position < 0 ? order.length : position, 0, row);
  }
  return order;
}

describe("sorted", () => {
  const table = drawn(300);
  const rows = select(300, [(row) => row % 3 !== 1]);
  for (const descending of [false, true]) {
    it(`orders numbers with the undefined last, descending: ${descending}`, () => {
      const values = table.columns.float!.values as Float32Array;
      const before = (a: number, b: number) => {
        const [x, y] = [values[a]!, values[b]!];
        if (Number.isNaN(x) || Number.isNaN(y)) return !Number.isNaN(x) && Number.isNaN(y);
        return descending ? x > y : x < y;
      };
      expect([...sorted(table, rows, { key: "float", descending })]).toEqual(plain([...rows], before));
    });
    it(`orders texts regardless of case and numbers in them by size, descending: ${descending}`, () => {
      const values = table.columns.text!.values as (string | null)[];
      const parts = (text: string) => [text.slice(0, 1).toLowerCase(), Number(text.slice(2))] as const;
      const before = (a: number, b: number) => {
        const [x, y] = [values[a]!, values[b]!];
        if (x === null || y === null) return x !== null && y === null;
        const [[letter, count], [otherLetter, otherCount]] = [parts(x), parts(y)];
        const smaller = letter < otherLetter || (letter === otherLetter && count < otherCount);
        const larger = letter > otherLetter || (letter === otherLetter && count > otherCount);
        return descending ? larger : smaller;
      };
      expect([...sorted(table, rows, { key: "text", descending })]).toEqual(plain([...rows], before));
    });
  }
  it("leaves an order alone that names no column", () => {
    expect(sorted(table, rows, { key: "nothing", descending: false })).toBe(rows);
  });
});

it("orders by a second number where the first ones are equal or both undefined", () => {
  const first = [1, 0, NaN, 0, NaN];
  const second = [5, 9, 2, NaN, 1];
  const order = sortedBy(everyRow(5), [
    { values: first, descending: false },
    { values: second, descending: true },
  ]);
  expect([...order]).toEqual([1, 3, 0, 2, 4]);
});

it("keeps an order while it chooses from it", () => {
  expect([...among(Uint32Array.of(4, 1, 3, 0), [(row) => row > 0, (row) => row !== 3])]).toEqual([4, 1]);
});

it("gives equal texts one rank and null none", () => {
  expect([...ranks(["x10", null, "x9", "x10"])]).toEqual([1, NaN, 0, 1]);
});

describe("a column named by anybody", () => {
  const table = drawn(5);
  it.each(["__proto__", "toString", "constructor", "hasOwnProperty"])("%s is none", (key) => {
    expect(columnNamed(table, key)).toBeUndefined();
    expect(value(table, key, 0)).toBeNull();
    expect([...sorted(table, everyRow(5), { key, descending: false })]).toEqual([0, 1, 2, 3, 4]);
    expect(() => numbers(table, key)).toThrow(`no column of numbers named ${key}`);
    expect(() => texts(table, key)).toThrow(`no column of texts named ${key}`);
  });
});
