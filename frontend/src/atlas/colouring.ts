/** What of the atlas is drawn in which colour. */
import { numbers } from "../data/table";
import type { ListedFinding, Region } from "../data/types";
import { integer, percent, points } from "../format";
import { shorten, visible } from "../text";
import { diverging, KINDS } from "../ui/colours";
import type { Disc, Dots, Name } from "./draw";
import { heldBy, liesIn } from "./regions";
import type { Atlas } from "./useAtlas";

export const COLOURINGS = { outcome: "outcome", region: "region", coverage: "share of items" } as const;
export type Colouring = keyof typeof COLOURINGS;

/** Scored items from which a difference is written at a region's name. */
const FEWEST = 20;
/** Steps of the scale of outcomes, in the order in which they are drawn: what differs most comes on top. */
const STEPS = [4, 3, 5, 2, 6, 1, 7, 0, 8];

/** The kept items as points; those outside of the chosen region are faint, and lie below. */
export function dotsOf(
  regions: Region[],
  { places, kept }: Atlas,
  outcome: ArrayLike<number> | null,
  by: Colouring,
  dark: boolean,
  chosen: number | null,
): Dots {
  const [x, y, finest, unlike] = ["x", "y", "region", "unlike"].map((key) => numbers(places, key));
  const faint = dark ? "#343b44" : "#dfe2e6";
  const unknown = dark ? "#59626d" : "#b9bec5";
  const scale = diverging(dark);
  const coarse = heldBy(regions, 1);
  const colours = [faint, unknown, ...(by === "region" ? KINDS : STEPS.map((step) => scale(step / 8)))];
  const known = Array.prototype.filter.call(outcome ?? [], (value: number) => !Number.isNaN(value)) as number[];
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  // From the model's mean, which is grey: against stronger peers all would be orange.
  const most = known.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0) || 1;
  const stepOf = (value: number) => STEPS.indexOf(Math.round(4 + (4 * (value - mean)) / most));
  const inside = chosen === null ? () => true : liesIn(regions, chosen);
  const tone = new Uint8Array(places.rows);
  const rows: number[][] = colours.map(() => []);
  for (let row = 0; row < places.rows; row++) {
    if (Number.isNaN(finest![row]!) || !kept(row)) continue;
    if (inside(finest![row]!)) {
      const value = by === "region" ? coarse[finest![row]!]! % KINDS.length : stepOf(outcome?.[row] ?? NaN);
      const has = by === "region" ? unlike![row] !== 1 : !Number.isNaN(outcome?.[row] ?? NaN);
      tone[row] = has ? 2 + value : 1;
    }
    rows[tone[row]!]!.push(row);
  }
  return { x: x!, y: y!, order: Uint32Array.from(rows.flat()), tone, colours };
}

/** The share of each region: orange where it is less than half of the public one, blue where it is twice as much. */
export function discsOf(regions: Region[], { shares }: Atlas): Disc[] {
  return regions.map(({ region, x, y }) => {
    const { share, public: usual } = shares[region]!;
    return { region, x, y, share, usual, colour: share > 2 * usual ? "accent" : share < usual / 2 ? "weak" : "faint" };
  });
}

/** Names of regions: the chosen one's first, coarser ones, those with findings, larger ones; faint without items. */
export function namesOf(
  regions: Region[],
  { tally, shares }: Atlas,
  findings: Map<number, ListedFinding[]>,
  by: Colouring,
  chosen: number | null,
): (Name & { always: boolean })[] {
  const size = ({ region, level }: Region) =>
    Number(region === chosen) * 1e12 - level * 1e9 + Number(findings.has(region)) * 1e8 + tally.of[region]!.items;
  return regions
    .toSorted((a, b) => size(b) - size(a))
    .map(({ region, level, name, x, y }) => {
      const { items, scored, mean, elsewhere } = tally.of[region]!;
      const gap = mean - elsewhere;
      // A line of the list that says the other thing would not explain the number.
      const found = by === "outcome" && findings.get(region)?.some((finding) => finding.gap * gap > 0);
      const note = {
        outcome: scored >= FEWEST ? points(gap, 0) : "",
        region: integer(items),
        coverage: items === 0 ? "none here" : shares[region]!.share < 0.005 ? "<1%" : percent(shares[region]!.share),
      }[by];
      return {
        region,
        level,
        text: shorten(visible(name), 80),
        note,
        ink: items ? "ink" : by === "coverage" ? "weak" : "soft",
        tone: found ? (gap < 0 ? "weak" : "accent") : "soft",
        x,
        y,
        always: by === "coverage" && level === 2 && items === 0,
      };
    });
}
