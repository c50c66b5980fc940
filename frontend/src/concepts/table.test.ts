import { expect, it } from "vitest";
import { type Column, select, type Table } from "../data/table";
import { random } from "../random";
import { roundedUp } from "../ui/IntervalBar";
import { COVERAGE, orderOf, PERFORMANCE, scaleOf, searchedId, tests, withFirst } from "./table";

const ROWS = 400;
const next = random(11);
// Two coarse ones, and in each two finest ones.
const regions = [null, null, 0, 0, 1, 1].map((parent, region) => ({
  ...{ region, parent, level: parent === null ? 1 : 2, name: `r${region}`, kind: "written" },
  ...{ x: 0, y: 0, items: 1, own: 1, concepts: 1, slice: null },
}));
const sample = <T>(values: T[]): T => values[Math.floor(next() * values.length)]!;
const maybe = (value: number) => (next() < 0.3 ? NaN : value);
const concepts = Array.from({ length: ROWS }, () => ({
  label: next() < 0.3 ? null : `${sample(["River", "names", "Code 12"])} ${sample(["in french", "of 7", "x"])}`,
  peak_token: sample([" the", "River", null]),
  ranked: next() < 0.7 ? 1 : 0,
  performance_status: sample(PERFORMANCE),
  coverage_status: sample([...COVERAGE, null]),
  region: maybe(2 + Math.floor(4 * next())),
  lift: next() < 0.1 ? Infinity : maybe(8 * next() - 4),
  association: maybe(next() - 0.5),
}));
type Concept = (typeof concepts)[number];
const column = (key: keyof Concept): Column => {
  const values = concepts.map((concept) => concept[key]);
  return typeof values.find((value) => value !== null) === "string"
    ? { kind: "text", values: values as (string | null)[] }
    : { kind: "number", values: Float64Array.from(values as number[]) };
};
const table: Table = {
  rows: ROWS,
  columns: Object.fromEntries(Object.keys(concepts[0]!).map((key) => [key, column(key as keyof Concept)])),
};

it.each<[string, (concept: Concept, row: number) => boolean]>([
  ["", (concept) => concept.ranked === 1],
  [
    "kinds=all&q=RIVER+fr",
    ({ label, peak_token }) => /river/i.test(label ?? peak_token ?? "") && (label ?? "").includes("fr"),
  ],
  ["kinds=all&q=12", ({ label }, row) => row === 12 || (label ?? "").includes("12")],
  ["status=failure,success", (concept) => concept.ranked === 1 && /failure|success/.test(concept.performance_status)],
  ["coverage=missing&kinds=all", (concept) => concept.coverage_status === "missing"],
  ["region=1&kinds=all", ({ region }) => region >= 4],
  ["region=3&kinds=all", ({ region }) => region === 3],
  ["region=x&kinds=all", () => true],
  ["region=6&kinds=all", () => true],
])('chooses by "%s"', (query, test) => {
  const expected = [...concepts.keys()].filter((row) => test(concepts[row]!, row));
  expect(expected.length).toBeGreaterThan(0);
  expect([...select(ROWS, tests(new URLSearchParams(query), table, regions))]).toEqual(expected);
});

it("a number that is searched for is a concept of the table, and comes first", () => {
  const id = (q: string) => searchedId(new URLSearchParams({ q }), ROWS);
  expect([" 12 ", "#12", "0", "399", "400", "", "12 7", "-1"].map(id)).toEqual([
    12,
    12,
    0,
    399,
    null,
    null,
    null,
    null,
  ]);
  expect([...withFirst(Uint32Array.of(5, 9, 2), 9)]).toEqual([9, 5, 2]);
  expect([...withFirst(Uint32Array.of(5, 2), 9)]).toEqual([9, 5, 2]);
});

it.each([
  [
    "model",
    "performance_status",
    ["failure", "typical", "negligible", "success", "insufficient", "untested"],
    "association",
  ],
  ["benchmark", "coverage_status", ["missing", "under", "typical", "over", null], "lift"],
] as const)("the order for the %s puts what is worst first", (face, key, words, within) => {
  const order = [...orderOf(table, null, face)].map((row) => concepts[row]!);
  const positions = order.map((concept) => (words as readonly (string | null)[]).indexOf(concept[key]));
  expect(positions).toEqual(positions.slice().sort((a, b) => a - b));
  const first = order.filter((concept) => concept[key] === words[0]).map((concept) => concept[within]);
  const known = first.filter((value) => !Number.isNaN(value));
  expect(known).toEqual(known.slice().sort((a, b) => (a === b ? 0 : a - b)));
  expect(first.slice(0, known.length)).toEqual(known);
  expect([...orderOf(table, { key: "__proto__", descending: true }, face)]).toEqual([...orderOf(table, null, face)]);
});

it("a scale reaches as far as 98 of 100 values, the same to both sides", () => {
  const values = Float32Array.from({ length: 1000 }, (_, row) => (row % 2 ? 1 : -1) * (row / 1000));
  values[999] = NaN;
  const ranked = { kind: "flag" as const, values: new Uint8Array(1000).fill(1) };
  const table: Table = { rows: 1000, columns: { association: { kind: "number", values }, ranked } };
  const end = roundedUp(Math.fround(Math.floor(0.98 * 998) / 1000));
  expect(scaleOf({ key: "association", kind: "points" }, table)).toEqual({ from: -end, to: end, neutral: 0 });
  expect(scaleOf({ key: "chi_model", kind: "decimal" }, table)).toEqual({ from: 0, to: 1, neutral: null });
});
