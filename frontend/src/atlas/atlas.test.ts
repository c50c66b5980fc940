import { zoomIdentity } from "d3-zoom";
import { expect, it } from "vitest";
import type { Table } from "../data/table";
import type { Region, SliceGap } from "../data/types";
import { random } from "../random";
import { namesOf } from "./colouring";
import { dotAt, frameOf, placing, stamp } from "./draw";
import { countItems, gapsOf, liesIn, pathOf } from "./regions";
import type { AtlasData } from "./useAtlas";

const next = random(5);
const below = (most: number) => Math.floor(most * next());
// 3 coarse regions, 6 in these, 20 in those.
const parents = [...[null, null, null], ...[0, 0, 1, 1, 1, 2], ...Array.from({ length: 20 }, () => 3 + below(6))];
const regions: Region[] = parents.map((parent, region) => ({
  ...{ region, parent, level: region < 3 ? 1 : region < 9 ? 2 : 3, name: `r${region}`, kind: "written" },
  ...{ x: next(), y: next(), concepts: 1 },
}));
const holds = (region: number, finest: number) =>
  pathOf(regions, finest).some((ancestor) => ancestor.region === region);
const column = (of: () => number) => ({ kind: "number" as const, values: Float64Array.from({ length: 300 }, of) });
const locations: Table = {
  rows: 300,
  columns: {
    region: column(() => (next() < 0.1 ? NaN : 9 + below(20))),
    unlike: { kind: "flag", values: Uint8Array.from({ length: 300 }, () => Number(next() < 0.1)) },
  },
};

it("counts items in regions of every level", () => {
  const finest = locations.columns.region!.values as Float64Array;
  const inBenchmark = (row: number) => row % 3 > 0;
  const { items, unlike, of } = countItems(regions, locations, inBenchmark);
  const rows = [...finest.keys()].filter((row) => inBenchmark(row) && !Number.isNaN(finest[row]!));
  expect(items).toBe(rows.length);
  const on = (row: number) => locations.columns.unlike!.values[row] === 0;
  expect(unlike).toBe(rows.filter((row) => !on(row)).length);
  for (const { region } of regions) {
    expect(of[region]).toBe(rows.filter((row) => on(row) && holds(region, finest[row]!)).length);
    expect([...regions.keys()].slice(9).filter(liesIn(regions, region))).toEqual(
      [...regions.keys()].slice(9).filter((row) => holds(region, row)),
    );
  }
});

it("colours the name of a region that the list has, and of no other, by the gap of the list", () => {
  const slice = (number: number, name: string) => ({
    ...{ number, name, family: "regions", family_words: "" },
    ...{ column: null, parent: -1, words: [], typical: [] },
  });
  const gap = (slice: number, gap: number | null) => ({ slice, gap }) as SliceGap;
  const table = new Map([gap(40, -0.09), gap(41, -0.2), gap(42, null)].map((gap) => [gap.slice, gap]));
  const gaps = gapsOf(regions, [slice(40, "r3"), slice(41, "r9"), slice(42, "r10")], table);
  const shares = regions.map(() => ({ share: 0.1, public: 0.1 }));
  const atlas = { tally: countItems(regions, locations, () => true), shares } as unknown as AtlasData;
  const names = namesOf(regions, atlas, gaps, new Set([40, 42]), "outcome", null);
  expect(names.filter(({ tone }) => tone !== "soft").map(({ region, tone }) => [region, tone])).toEqual([[3, "weak"]]);
  expect(Object.fromEntries(names.flatMap(({ region, note }) => (note ? [[region, note]] : [])))).toEqual({
    3: "−9",
    9: "−20",
  });
});

it("finds a point where its pixels are", () => {
  const [x, y] = [Float32Array.from({ length: 40 }, next), Float32Array.from({ length: 40 }, next)];
  const order = Uint32Array.from(x.keys());
  const frame = frameOf([{ x, y }]);
  const look = { view: zoomIdentity.translate(-120, -60).scale(1.5), width: 500, height: 300 };
  // Each point has a colour of its own.
  const colours = Array.from(x, (_, i) => `rgb(${i + 1}, 0, 0)`);
  const pixels = new Uint32Array(500 * 300);
  const dots = { x, y, order, tone: Uint8Array.from(order), colours };
  stamp(pixels, 500, 300, dots, placing(frame, look), 1, look.view.k);
  const drawn = new Set<number>();
  pixels.forEach((pixel, at) => {
    if (pixel >>> 24 !== 0xff) return;
    const nearest = dotAt(dots, frame, look, (at % 500) + 0.01, Math.floor(at / 500) + 0.01);
    // Where two lie over each other the nearer one is found.
    const { kx, bx, ky, by } = placing(frame, look);
    const away = (dot: number) => Math.hypot(kx * x[dot]! + bx - (at % 500), ky * y[dot]! + by - Math.floor(at / 500));
    expect(away(nearest)).toBeLessThanOrEqual(away((pixel & 255) - 1) + 0.05);
    drawn.add(nearest);
  });
  expect(drawn.size).toBeGreaterThan(15);
});
