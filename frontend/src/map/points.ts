/** Points on a plane, and where they lie on the screen. */

/**
 * Points in the order in which they are drawn, the last on top. The first `backdrop` ones are drawn faintly and cannot
 * be chosen.
 */
export interface Points {
  count: number;
  backdrop: number;
  /** Points before this one may be thinned out while the picture moves; those from it on are what one looks for. */
  crowd: number;
  x: Float32Array;
  y: Float32Array;
  /** Concept of each point. */
  id: Uint32Array;
  /** Radius in CSS pixels, before zooming. */
  radius: Float32Array;
  /** Red, green, blue, opacity of each point, 0 to 255. */
  colour: Uint8Array;
}

/** From the plane to an unzoomed screen: `px = sx * x + tx`. `sy` is negative, for y grows upwards. */
export interface Frame {
  sx: number;
  sy: number;
  tx: number;
  ty: number;
  width: number;
  height: number;
}

/** Zoom and shift of the screen, as d3-zoom has it. */
export interface View {
  k: number;
  x: number;
  y: number;
}

export const WHOLE: View = { k: 1, x: 0, y: 0 };

/** Space beside the points, in CSS pixels. */
export interface Margin {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Extent {
  x: [number, number];
  y: [number, number];
}

/** Smallest and largest coordinates; of no points, the unit square. */
export function extent(points: { x: Float32Array; y: Float32Array; count: number }): Extent {
  const ends: Extent = { x: [Infinity, -Infinity], y: [Infinity, -Infinity] };
  for (let i = 0; i < points.count; i++) {
    const x = points.x[i]!;
    const y = points.y[i]!;
    if (x < ends.x[0]) ends.x[0] = x;
    if (x > ends.x[1]) ends.x[1] = x;
    if (y < ends.y[0]) ends.y[0] = y;
    if (y > ends.y[1]) ends.y[1] = y;
  }
  return { x: widened(ends.x), y: widened(ends.y) };
}

function widened([low, high]: [number, number]): [number, number] {
  if (!(low <= high)) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/** How much longer one axis of a plane without axes may be drawn than the other: its distances are rough anyway. */
const STRETCH = 1.5;

/** The frame in which an extent fills the screen; `square`: both axes to about the same scale. */
export function fitted(of: Extent, width: number, height: number, margin: Margin, square: boolean): Frame {
  const wide = Math.max(10, width - margin.left - margin.right);
  const high = Math.max(10, height - margin.top - margin.bottom);
  let sx = wide / (of.x[1] - of.x[0]);
  let sy = high / (of.y[1] - of.y[0]);
  if (square) [sx, sy] = [Math.min(sx, STRETCH * sy), Math.min(sy, STRETCH * sx)];
  const middleX = margin.left + wide / 2;
  const middleY = margin.top + high / 2;
  return {
    sx,
    sy: -sy,
    width,
    height,
    tx: middleX - (sx * (of.x[0] + of.x[1])) / 2,
    ty: middleY + (sy * (of.y[0] + of.y[1])) / 2,
  };
}

export const screenX = (frame: Frame, view: View, x: number) => view.k * (frame.sx * x + frame.tx) + view.x;
export const screenY = (frame: Frame, view: View, y: number) => view.k * (frame.sy * y + frame.ty) + view.y;
export const planeX = (frame: Frame, view: View, px: number) => ((px - view.x) / view.k - frame.tx) / frame.sx;
export const planeY = (frame: Frame, view: View, py: number) => ((py - view.y) / view.k - frame.ty) / frame.sy;

/** A place of the plane in the middle of the picture, and how far it is zoomed. */
export interface Spot {
  x: number;
  y: number;
  k: number;
}

/** Points grow more slowly than the space between them. */
export const growth = (k: number) => Math.min(3.2, Math.max(0.8, k ** 0.38));

/** Where a map was moved to, as the address says it: `at=x,y,zoom`; null: not at all. */
export function spotOf(param: string | null): Spot | null {
  const [x, y, k, more] = (param ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (more !== undefined || ![x, y, k].every(Number.isFinite)) return null;
  return k! > 0 ? { x: x!, y: y!, k: k! } : null;
}

export const spotParam = (spot: Spot | null) =>
  spot ? [spot.x, spot.y, spot.k].map((part) => Number(part.toPrecision(5))).join(",") : null;
