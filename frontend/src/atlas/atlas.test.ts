import { zoomIdentity } from "d3-zoom";
import { expect, it } from "vitest";
import type { Table } from "../data/table";
import type { Region } from "../data/types";
import { random } from "../random";
import { dotAt, frameOf, placing, stamp } from "./draw";
import { liesIn, pathOf, tallies } from "./regions";

const next = random(5);
const below = (most: number) => Math.floor(most * next());
// 3 coarse regions, 6 in these, 20 in those.
const parents = [...[null, null, null], ...[0, 0, 1, 1, 1, 2], ...Array.from({ length: 20 }, () => 3 + below(6))];
const regions: Region[] = parents.map((parent, region) => ({
  ...{ region, parent, level: region < 3 ? 1 : region < 9 ? 2 : 3, name: `r${region}`, kind: "written" },
  ...{ x: next(), y: next(), concepts: 1 },
}));
const holds = (region: number, finest: number) => pathOf(regions, finest).some((held) => held.region === region);
const column = (of: () => number) => ({ kind: "number" as const, values: Float64Array.from({ length: 300 }, of) });
const places: Table = {
  rows: 300,
  columns: {
    region: column(() => (next() < 0.1 ? NaN : 9 + below(20))),
    unlike: { kind: "flag", values: Uint8Array.from({ length: 300 }, () => Number(next() < 0.1)) },
  },
};

it("counts items and outcomes in regions of every level", () => {
  const finest = places.columns.region!.values as Float64Array;
  const outcome = column(() => (next() < 0.2 ? NaN : next())).values;
  const kept = (row: number) => row % 3 > 0;
  const { items, unlike, of } = tallies(regions, places, kept, outcome);
  const rows = [...finest.keys()].filter((row) => kept(row) && !Number.isNaN(finest[row]!));
  expect(items).toBe(rows.length);
  const mean = (list: number[]) => list.reduce((sum, row) => sum + outcome[row]!, 0) / list.length;
  const scored = rows.filter((row) => !Number.isNaN(outcome[row]!));
  const on = (row: number) => places.columns.unlike!.values[row] === 0;
  expect(unlike).toBe(rows.filter((row) => !on(row)).length);
  for (const { region } of regions) {
    const inside = (row: number) => on(row) && holds(region, finest[row]!);
    expect(of[region]!.items).toBe(rows.filter(inside).length);
    expect(of[region]!.mean).toBeCloseTo(mean(scored.filter(inside)));
    expect(of[region]!.elsewhere).toBeCloseTo(mean(scored.filter((row) => !inside(row))));
    expect([...regions.keys()].slice(9).filter(liesIn(regions, region))).toEqual(
      [...regions.keys()].slice(9).filter((row) => holds(region, row)),
    );
  }
});

it("a point is found where its pixels are", () => {
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
    const found = dotAt(dots, frame, look, (at % 500) + 0.01, Math.floor(at / 500) + 0.01);
    // Where two lie over each other the nearer one is found.
    const { kx, bx, ky, by } = placing(frame, look);
    const away = (dot: number) => Math.hypot(kx * x[dot]! + bx - (at % 500), ky * y[dot]! + by - Math.floor(at / 500));
    expect(away(found)).toBeLessThanOrEqual(away((pixel & 255) - 1) + 0.05);
    drawn.add(found);
  });
  expect(drawn.size).toBeGreaterThan(15);
});
