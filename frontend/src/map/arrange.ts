/** Which concepts are on a map, where, how large, and in what order they are drawn. */
import { numbers, type Table } from "../data/table";
import type { Colours, Rgb } from "./colouring";
import type { Points } from "./points";

export type Layout = "meaning" | "gaps";

/** Where a row lies; NaN: nowhere. */
export interface Places {
  x: (row: number) => number;
  y: (row: number) => number;
}

/** By the coordinates of the dictionary, or coverage (to base 10) against gap. */
export function places(layout: Layout, table: Table): Places {
  if (layout === "meaning") {
    const x = numbers(table, "x");
    const y = numbers(table, "y");
    return { x: (row) => x[row]!, y: (row) => y[row]! };
  }
  const coverage = numbers(table, "chi_bench");
  const gap = numbers(table, "gap");
  return { x: (row) => (coverage[row]! > 0 ? Math.log10(coverage[row]!) : NaN), y: (row) => gap[row]! };
}

/** Rows that have a place, ascending. */
export function placed(rows: number, { x, y }: Places): Uint32Array {
  const kept = new Uint32Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) if (!Number.isNaN(x(row)) && !Number.isNaN(y(row))) kept[count++] = row;
  return kept.slice(0, count);
}

/** Radius by support: its logarithm, for few concepts have most of it. Many points are drawn smaller. */
export function radii(support: ArrayLike<number>, on: number): (row: number) => number {
  let most = 1;
  for (let row = 0; row < support.length; row++) if (support[row]! > most) most = support[row]!;
  const crowd = Math.min(1, Math.max(0.4, (6000 / Math.max(1, on)) ** 0.3));
  const top = Math.log1p(most);
  return (row) => (1.9 + 5.2 * (Math.log1p(Math.max(0, support[row] || 0)) / top) ** 2) * crowd;
}

interface Drawn {
  on: Uint32Array;
  places: Places;
  /** Whether a row passes the filters; the others are the backdrop. */
  passes: (row: number) => boolean;
  /** Rows that are chosen: the others fade; null: no choice was made. */
  chosen: { has: (row: number) => boolean } | null;
  colours: Colours;
  radius: (row: number) => number;
  backdrop: Rgb;
}

/** Layers of verdicts, 0 to 3. */
const VERDICTS = 4;
/** From this layer on they are what one looks for. */
const FIRST_SOUGHT = 2;
/** The backdrop, then what is not chosen, then what is. */
const LAYERS = 1 + 2 * VERDICTS;
const SIZES = 32;
const LARGEST = 13;
/** What is sought, and what is chosen, is drawn larger. */
const SOUGHT = 1.35;

/** The points of the rows: backdrop first, then by layer, in a layer the small ones on top. */
export function arranged({ on, places: at, passes, chosen, colours, radius: plain, backdrop }: Drawn): Points {
  const picked = (row: number) => chosen?.has(row) === true;
  const radius = (row: number) =>
    plain(row) * (colours.layer(row) >= FIRST_SOUGHT ? SOUGHT : 1) * (picked(row) ? SOUGHT : 1);
  // Sorted by counting: the order has few different places, and 131,072 rows are ordered anew at each keystroke.
  const place = (row: number) => {
    if (!passes(row)) return 0;
    const layer = 1 + Math.min(VERDICTS - 1, colours.layer(row)) + (picked(row) ? VERDICTS : 0);
    return layer * SIZES + (SIZES - 1 - Math.min(SIZES - 1, Math.floor((radius(row) / LARGEST) * SIZES)));
  };
  const keys = Uint16Array.from(on, place);
  const starts = new Uint32Array(LAYERS * SIZES + 1);
  for (const key of keys) starts[key + 1]!++;
  const backdropCount = starts[1]!;
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const count = on.length;
  const points: Points = {
    count,
    backdrop: backdropCount,
    crowd: starts[(1 + FIRST_SOUGHT) * SIZES]!,
    x: new Float32Array(count),
    y: new Float32Array(count),
    id: new Uint32Array(count),
    radius: new Float32Array(count),
    colour: new Uint8Array(4 * count),
  };
  on.forEach((row, i) => {
    const key = keys[i]!;
    const to = starts[key]!++;
    points.id[to] = row;
    points.x[to] = at.x(row);
    points.y[to] = at.y(row);
    points.radius[to] = key === 0 ? Math.min(1.8, radius(row)) : radius(row);
    points.colour.set(key === 0 ? backdrop : colours.of(row), 4 * to);
    points.colour[4 * to + 3] = key === 0 ? 110 : picked(row) ? 245 : chosen ? 40 : colours.pale(row) ? 95 : 235;
  });
  return points;
}
