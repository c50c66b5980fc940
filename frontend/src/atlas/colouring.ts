/** Colours and labels of the atlas. */
import { numbers } from "../data/table";
import type { Region, SliceGap } from "../data/types";
import { gapPoints, integer, percent } from "../format";
import { shorten, visible } from "../text";
import { diverging, REGION_COLOURS } from "../ui/colours";
import type { Disc, Dots, Name } from "./draw";
import { liesIn, regionAtLevel } from "./regions";
import type { AtlasData } from "./useAtlas";

export const COLOURINGS = { outcome: "outcome", region: "region", coverage: "share of items" } as const;
export type Colouring = keyof typeof COLOURINGS;

/** Steps of the outcome scale in drawing order, so that extreme outcomes lie on top. */
const STEPS = [4, 3, 5, 2, 6, 1, 7, 0, 8];

/** Items as points; those outside the chosen region are faint and lie below. */
export function dotsOf(
  regions: Region[],
  { locations, inBenchmark }: AtlasData,
  outcome: ArrayLike<number> | null,
  by: Colouring,
  dark: boolean,
  chosen: number | null,
): Dots {
  const [x, y, finest, unlike] = ["x", "y", "region", "unlike"].map((key) => numbers(locations, key));
  const faint = dark ? "#343b44" : "#dfe2e6";
  const unknown = dark ? "#59626d" : "#b9bec5";
  const scale = diverging(dark);
  const coarse = regionAtLevel(regions, 1);
  const colours = [faint, unknown, ...(by === "region" ? REGION_COLOURS : STEPS.map((step) => scale(step / 8)))];
  const known = Array.prototype.filter.call(outcome ?? [], (value: number) => !Number.isNaN(value)) as number[];
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  // Grey is the model's mean: otherwise all items would be orange against stronger peers.
  const most = known.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0) || 1;
  const stepOf = (value: number) => STEPS.indexOf(Math.round(4 + (4 * (value - mean)) / most));
  const inside = chosen === null ? () => true : liesIn(regions, chosen);
  const tone = new Uint8Array(locations.rows);
  const rows: number[][] = colours.map(() => []);
  for (let row = 0; row < locations.rows; row++) {
    if (Number.isNaN(finest![row]!) || !inBenchmark(row)) continue;
    if (inside(finest![row]!)) {
      const value = by === "region" ? coarse[finest![row]!]! % REGION_COLOURS.length : stepOf(outcome?.[row] ?? NaN);
      const has = by === "region" ? unlike![row] !== 1 : !Number.isNaN(outcome?.[row] ?? NaN);
      tone[row] = has ? 2 + value : 1;
    }
    rows[tone[row]!]!.push(row);
  }
  return { x: x!, y: y!, order: Uint32Array.from(rows.flat()), tone, colours };
}

/** The share of each region: orange where it is less than half of the public one, blue where it is twice as much. */
export function discsOf(regions: Region[], { shares }: AtlasData): Disc[] {
  return regions.map(({ region, x, y }) => {
    const { share, public: usual } = shares[region]!;
    return { region, x, y, share, usual, colour: share > 2 * usual ? "accent" : share < usual / 2 ? "weak" : "faint" };
  });
}

/** Names of regions by priority: the chosen one, coarser ones, listed ones, larger ones; faint without items. */
export function namesOf(
  regions: Region[],
  { tally, shares }: AtlasData,
  gaps: Map<number, SliceGap>,
  listed: Set<number>,
  by: Colouring,
  chosen: number | null,
): (Name & { always: boolean })[] {
  const isListed = (region: number) => listed.has(gaps.get(region)?.slice ?? -1);
  const size = ({ region, level }: Region) =>
    Number(region === chosen) * 1e12 - level * 1e9 + Number(isListed(region)) * 1e8 + tally.of[region]!;
  return regions
    .toSorted((a, b) => size(b) - size(a))
    .map(({ region, level, name, x, y }) => {
      const items = tally.of[region]!;
      const gap = gaps.get(region)?.gap ?? null;
      const note = {
        outcome: gap === null ? "" : gapPoints(gap),
        region: integer(items),
        coverage: items === 0 ? "none here" : shares[region]!.share < 0.005 ? "<1%" : percent(shares[region]!.share),
      }[by];
      return {
        region,
        level,
        text: shorten(visible(name), 80),
        note,
        ink: items ? "ink" : by === "coverage" ? "weak" : "soft",
        tone: by === "outcome" && gap !== null && isListed(region) ? (gap < 0 ? "weak" : "accent") : "soft",
        x,
        y,
        always: by === "coverage" && level === 2 && items === 0,
      };
    });
}
