import { describe, expect, it, vi } from "vitest";
import { type Column, select, type Table } from "../data/table";
import { random } from "../random";
import { COVERAGE, PERFORMANCE, searchedId, tests, withFirst } from "./filters";
import { orderOf } from "./table";

// The address belongs to a page, and there is none here.
vi.mock("../app/route", () => ({ go: vi.fn(), useRoute: vi.fn() }));

const ROWS = 400;
interface Concept {
  label: string | null;
  peak_token: string | null;
  alive: boolean;
  kind: string | null;
  ranked: boolean;
  performance_status: string;
  coverage_status: string | null;
  theme: number | null;
  subtheme: number | null;
  n_eff: number;
  q_value: number | null;
  lift: number | null;
  gap: number | null;
  chance_seen: number | null;
}

function drawn(): Concept[] {
  const next = random(11);
  const sample = <T>(values: T[]): T => values[Math.floor(next() * values.length)]!;
  const maybe = (value: number) => (next() < 0.3 ? null : value);
  return Array.from({ length: ROWS }, () => {
    const alive = next() < 0.9;
    const kind = alive ? sample(["contextual", "contextual", "contextual", "token", "dense", null]) : null;
    return {
      label: next() < 0.3 ? null : `${sample(["River", "names", "Code 12"])} ${sample(["in french", "of 7", "x"])}`,
      peak_token: sample([" the", "River", null]),
      alive,
      kind,
      ranked: alive && (kind === null || kind === "contextual"),
      performance_status: sample(PERFORMANCE),
      coverage_status: alive ? sample(COVERAGE) : null,
      theme: maybe(Math.floor(4 * next())),
      subtheme: maybe(Math.floor(9 * next())),
      n_eff: Math.fround(40 * next()),
      q_value: maybe(Math.fround(next())),
      lift: next() < 0.1 ? Infinity : maybe(Math.fround(8 * next() - 4)),
      gap: maybe(Math.fround(next() - 0.5)),
      chance_seen: maybe(Math.fround(next())),
    };
  });
}

function table(concepts: Concept[]): Table {
  const columns: Record<string, Column> = {};
  for (const key of Object.keys(concepts[0]!) as (keyof Concept)[]) {
    const values = concepts.map((concept) => concept[key]);
    if (values.some((value) => typeof value === "boolean"))
      columns[key] = { kind: "flag", values: Uint8Array.from(values, Number) };
    else if (values.some((value) => typeof value === "string"))
      columns[key] = { kind: "text", values: values as (string | null)[] };
    else
      columns[key] = {
        kind: "number",
        values: Float32Array.from(values, (value) => (value === null ? NaN : Number(value))),
      };
  }
  return { rows: concepts.length, columns };
}

const concepts = drawn();
const shown = (query: string) => [...select(ROWS, tests(new URLSearchParams(query), table(concepts)))];
const where = (test: (concept: Concept, row: number) => boolean) =>
  concepts.map((_, row) => row).filter((row) => test(concepts[row]!, row));

describe("filters", () => {
  const cases: [string, (concept: Concept, row: number) => boolean][] = [
    ["", (concept) => concept.ranked],
    ["kinds=all", () => true],
    ["kinds=dense,dead", (concept) => concept.ranked || concept.kind === "dense" || !concept.alive],
    ["kinds=dense&only=1", (concept) => concept.kind === "dense"],
    ["kinds=all&only=1", (concept) => !concept.ranked],
    [
      "kinds=dense,dead&only=1&coverage=missing",
      (concept) => (concept.kind === "dense" || !concept.alive) && concept.coverage_status === "missing",
    ],
    ["only=1", (concept) => concept.ranked],
    ["kinds=nonsense", (concept) => concept.ranked],
    [
      "kinds=all&q=RIVER+fr",
      (concept) =>
        (concept.label ?? concept.peak_token ?? "").toLowerCase().includes("river") &&
        (concept.label ?? "").includes("fr"),
    ],
    ["kinds=all&q=12", (concept, row) => row === 12 || (concept.label ?? "").includes("12")],
    ["kinds=all&q=%23300", (_, row) => row === 300],
    ["status=weak,strong", (concept) => concept.ranked && ["weak", "strong"].includes(concept.performance_status)],
    ["coverage=missing&kinds=all", (concept) => concept.coverage_status === "missing"],
    ["theme=2&kinds=all", (concept) => concept.theme === 2],
    ["theme=2&subtheme=5&kinds=all", (concept) => concept.theme === 2 && concept.subtheme === 5],
    ["n_eff=20&kinds=all", (concept) => concept.n_eff >= 20],
    ["n_eff=many&qmax=&kinds=all", () => true],
    ["qmax=0.4&kinds=all", (concept) => concept.q_value !== null && concept.q_value <= 0.4],
    ["liftmin=-1&liftmax=2&kinds=all", (concept) => concept.lift !== null && concept.lift >= -1 && concept.lift <= 2],
    ["liftmin=1&kinds=all", (concept) => concept.lift !== null && concept.lift >= 1],
    ["ids=3,17,390&kinds=all", (_, row) => [3, 17, 390].includes(row)],
  ];
  for (const [query, test] of cases) {
    it(`chooses by "${query}"`, () => {
      const expected = where(test);
      expect(shown(query)).toEqual(expected);
    });
  }
  it("draws cases in which every filter keeps some concepts and drops others", () => {
    for (const [query] of cases.slice(0, -1)) expect(shown(query).length).toBeGreaterThan(0);
  });
});

describe("a number that is searched for", () => {
  it("is a concept of the table", () => {
    const id = (q: string) => searchedId(new URLSearchParams({ q }), ROWS);
    expect([" 12 ", "#12", "0", String(ROWS - 1)].map(id)).toEqual([12, 12, 0, ROWS - 1]);
    expect([String(ROWS), "", "12 7", "-1", "x", "1e2"].map(id)).toEqual([null, null, null, null, null, null]);
    expect(searchedId(new URLSearchParams(), ROWS)).toBeNull();
  });
  it("comes first, whether or not the filters leave it", () => {
    expect([...withFirst(Uint32Array.of(5, 9, 2), 9)]).toEqual([9, 5, 2]);
    expect([...withFirst(Uint32Array.of(5, 2), 9)]).toEqual([9, 5, 2]);
    expect([...withFirst(Uint32Array.of(5, 2), null)]).toEqual([5, 2]);
  });
});

describe("the order without a sort", () => {
  it("puts weak concepts first, by gap, and untested ones last", () => {
    const order = [...orderOf(table(concepts), null, "model")].map((row) => concepts[row]!);
    const places = order.map((concept) =>
      ["weak", "typical", "negligible", "strong", "insufficient", "untested"].indexOf(concept.performance_status),
    );
    expect(places).toEqual(places.slice().sort((a, b) => a - b));
    const weak = order
      .filter((concept) => concept.performance_status === "weak")
      .map((concept) => concept.gap ?? Infinity);
    expect(weak).toEqual(weak.slice().sort((a, b) => (a === b ? 0 : a - b)));
  });
  it("puts missing concepts first, then the lowest lift, and dead ones last", () => {
    const order = [...orderOf(table(concepts), null, "benchmark")].map((row) => concepts[row]!);
    const places = order.map((concept) =>
      ["missing", "under", "typical", "over", null].indexOf(concept.coverage_status),
    );
    expect(places).toEqual(places.slice().sort((a, b) => a - b));
    const under = order
      .filter((concept) => concept.coverage_status === "under" && concept.lift !== null)
      .map((concept) => concept.lift!);
    expect(under).toEqual(under.slice().sort((a, b) => (a === b ? 0 : a - b)));
  });
});

it.each(["__proto__", "toString", "constructor"])("an order by %s is the one without a sort", (key) => {
  for (const face of ["model", "benchmark"] as const) {
    expect([...orderOf(table(concepts), { key, descending: true }, face)]).toEqual([
      ...orderOf(table(concepts), null, face),
    ]);
  }
});
