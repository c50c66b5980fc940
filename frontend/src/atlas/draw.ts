/** Draw the atlas: items as points in a pixel buffer, regions as circles or names. */
import type { Look } from "./Plane";

/** Items as points. */
export interface Dots {
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  /** Rows in drawing order. */
  order: Uint32Array;
  /** Index of each row's colour in `colours`. */
  tone: Uint8Array;
  /** `#rrggbb` or `rgb(r, g, b)`. */
  colours: string[];
}

/** A region's share of the run and of public benchmarks. */
export interface Disc {
  region: number;
  x: number;
  y: number;
  /** In [0, 1]. */
  share: number;
  /** Mean share of the public benchmarks. */
  usual: number;
  /** Name of a colour of the page. */
  colour: string;
}

/** A region's name and the note below it. */
export interface Name {
  region: number;
  level: number;
  text: string;
  note: string;
  /** Colour variables of the name and of the note. */
  ink: string;
  tone: string;
  x: number;
  y: number;
}

/** A rectangle by its centre. */
interface Box {
  x: number;
  y: number;
  halfWidth: number;
  halfHeight: number;
}

/** A drawn name with its box. */
export type Label = Name & Box;

/** Range of the coordinates. */
export interface Frame {
  x: [number, number];
  y: [number, number];
}

export function frameOf(pointSets: { x: ArrayLike<number>; y: ArrayLike<number> }[]): Frame {
  const ends = (axis: "x" | "y"): [number, number] => {
    let [low, high] = [Infinity, -Infinity];
    for (const { [axis]: values } of pointSets)
      for (let i = 0; i < values.length; i++) {
        if (values[i]! < low) low = values[i]!;
        if (values[i]! > high) high = values[i]!;
      }
    return low < high ? [low, high] : [0, 1];
  };
  return { x: ends("x"), y: ends("y") };
}

const MARGIN = 34;

/** From coordinates to CSS pixels: `px = kx * x + bx`. */
export function placing({ x, y }: Frame, { view, width, height }: Look) {
  const along = ([low, high]: [number, number], size: number, zoomed: (at: number) => number) => {
    const [from, to] = [zoomed(MARGIN), zoomed(Math.max(MARGIN + 20, size - MARGIN))];
    return [(to - from) / (high - low), from - (low * (to - from)) / (high - low)] as const;
  };
  const [kx, bx] = along(x, width, (at) => view.applyX(at));
  const [ky, by] = along([-y[1], -y[0]], height, (at) => view.applyY(at));
  return { kx, bx, ky: -ky, by };
}

/** Radius of points in CSS pixels: smaller if there are many, and growing more slowly than the zoom. */
export const radiusOf = (dots: number, zoom: number) =>
  Math.min(7, Math.min(3.4, Math.max(1.3, 170 / Math.sqrt(dots + 1))) * Math.max(0.8, zoom ** 0.45));

/** Row of the point nearest to a position, the topmost of equally near ones; -1: none. */
export function dotAt({ x, y, order }: Dots, frame: Frame, look: Look, px: number, py: number): number {
  const { kx, bx, ky, by } = placing(frame, look);
  let [nearest, least] = [-1, (radiusOf(order.length, look.view.k) + 4) ** 2];
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    const away = (kx * x[row]! + bx - px) ** 2 + (ky * y[row]! + by - py) ** 2;
    if (away <= least) [nearest, least] = [row, away];
  }
  return nearest;
}

const images = new WeakMap<HTMLCanvasElement, ImageData>();

/** Draw points; translucent edges separate overlapping ones. */
export function drawDots(canvas: HTMLCanvasElement, dots: Dots, frame: Frame, look: Look): void {
  const context = canvas.getContext("2d")!;
  const { width, height } = canvas;
  const known = images.get(canvas);
  const image = known?.width === width && known.height === height ? known : context.createImageData(width, height);
  images.set(canvas, image);
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(0);
  stamp(pixels, width, height, dots, placing(frame, look), devicePixelRatio || 1, look.view.k);
  context.putImageData(image, 0, 0);
}

/** Draw points into 32-bit pixels (alpha, blue, green, red from the highest byte). */
export function stamp(
  pixels: Uint32Array,
  width: number,
  height: number,
  { x, y, order, tone, colours }: Dots,
  { kx, bx, ky, by }: ReturnType<typeof placing>,
  ratio: number,
  zoom: number,
): void {
  const radius = radiusOf(order.length, zoom) * ratio;
  const reach = Math.ceil(radius + 1);
  const [inner, edge] = [[] as number[], [] as number[]];
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) {
      const away = Math.hypot(dx, dy);
      if (away <= radius) inner.push(dy * width + dx);
      else if (away <= radius + 0.9) edge.push(dy * width + dx);
    }
  const inks = Uint32Array.from(colours, (colour) => {
    const [red, green, blue] = channels(colour);
    return (red! | (green! << 8) | (blue! << 16)) >>> 0;
  });
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    const px = Math.round((kx * x[row]! + bx) * ratio);
    const py = Math.round((ky * y[row]! + by) * ratio);
    if (!(px >= reach && py >= reach && px < width - reach && py < height - reach)) continue;
    const at = py * width + px;
    const ink = inks[tone[row]!]!;
    for (let j = 0; j < inner.length; j++) pixels[at + inner[j]!] = ink | 0xff000000;
    for (let j = 0; j < edge.length; j++) pixels[at + edge[j]!] = ink | 0x50000000;
  }
}

const channels = (colour: string): number[] =>
  colour.startsWith("#")
    ? [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
    : (colour.match(/[\d.]+/g) ?? []).map(Number);

type Context = CanvasRenderingContext2D;
/** Look up a CSS variable of the page. */
type Colour = (name: string) => string;

/** Share of the canvas that all discs would cover without overlap. */
const COVERED = 0.2;

const radiusOfDisc = (share: number, { view, width, height }: Look) =>
  Math.sqrt((share * COVERED * width * height * Math.max(1, view.k ** 1.4)) / Math.PI);

/** The smallest disc or ring at a position; undefined: none. */
export function discAt(discs: Disc[], frame: Frame, look: Look, px: number, py: number): Disc | undefined {
  const { kx, bx, ky, by } = placing(frame, look);
  const size = (disc: Disc) => radiusOfDisc(Math.max(disc.share, disc.usual), look);
  return discs
    .filter((disc) => Math.hypot(kx * disc.x + bx - px, ky * disc.y + by - py) <= size(disc) + 2)
    .sort((a, b) => size(a) - size(b))[0];
}

/** Draw each region as a disc (share of the run) and a ring (mean share of public benchmarks). */
export function drawDiscs(context: Context, discs: Disc[], frame: Frame, look: Look, colour: Colour): void {
  const { kx, bx, ky, by } = placing(frame, look);
  const circle = (disc: Disc, share: number) => {
    context.beginPath();
    context.arc(kx * disc.x + bx, ky * disc.y + by, radiusOfDisc(share, look), 0, 2 * Math.PI);
  };
  for (const disc of discs.toSorted((a, b) => b.share - a.share)) {
    circle(disc, disc.share);
    context.fillStyle = colour(disc.colour);
    context.globalAlpha = 0.72;
    context.fill();
    context.globalAlpha = 1;
    circle(disc, disc.usual);
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.3;
    context.setLineDash(disc.share ? [] : [3, 3]);
    context.stroke();
  }
  context.setLineDash([]);
}

const SIZES = [13.5, 12, 11];
/** Maximum characters in a line of a name; a longer word has a line to itself. */
const LONG = 26;

/** Split a name into lines of similar length. */
function linesOf(name: string): string[] {
  const wanted = name.length / Math.ceil(name.length / LONG);
  const lines = [""];
  for (const word of name.split(" ")) {
    const line = `${lines.at(-1)} ${word}`.trim();
    // Break where the line comes closest to the wanted length.
    if (lines.at(-1) && line.length - wanted > word.length / 2) lines.push(word);
    else lines[lines.length - 1] = line;
  }
  return lines;
}

/**
 * Draw the names that fit, in order of priority, shifted vertically if they would overlap, with a halo for legibility.
 */
export function drawNames(context: Context, names: Name[], frame: Frame, look: Look, colour: Colour): Label[] {
  const { kx, bx, ky, by } = placing(frame, look);
  const { width, height } = look;
  const labels: Label[] = [];
  const taken: Box[] = [{ x: width - 26, y: 64, halfWidth: 26, halfHeight: 64 }];
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = colour("card");
  for (const name of names) {
    const size = SIZES[name.level - 1]! - (width < 480 ? 1.5 : 0);
    const lines = linesOf(name.text);
    const shown = name.note ? [...lines, name.note] : lines;
    context.font = `${name.level === 1 ? 680 : 560} ${size}px ${colour("sans")}`;
    const halfWidth = Math.max(...shown.map((line) => context.measureText(line).width)) / 2 + 5;
    const halfHeight = (shown.length * size * 1.15) / 2 + 2;
    const [px, py] = [kx * name.x + bx, ky * name.y + by];
    if (px < 0 || px > width || py < 0 || py > height) continue;
    const x = Math.max(halfWidth, Math.min(width - halfWidth, px));
    const y = free(taken, x, Math.max(halfHeight, Math.min(height - halfHeight, py)), halfWidth, halfHeight, height);
    if (y === null) continue;
    const label = { ...name, x, y, halfWidth, halfHeight };
    labels.push(label);
    taken.push(label);
    shown.forEach((line, i) => {
      const at = y + (i - (shown.length - 1) / 2) * size * 1.15;
      context.strokeText(line, x, at);
      context.fillStyle = colour(name.note && i === shown.length - 1 ? name.tone : name.ink);
      context.fillText(line, x, at);
    });
  }
  return labels;
}

/** The nearest vertical position without overlap; null: none is near enough. */
function free(taken: Box[], x: number, y: number, halfWidth: number, halfHeight: number, height: number) {
  for (const step of [0, -0.4, 0.4, -0.8, 0.8, -1.2, 1.2, -1.6, 1.6, -2, 2]) {
    const at = y + step * 2 * halfHeight;
    if (at < halfHeight || at > height - halfHeight) continue;
    const hit = taken.some(
      (other) =>
        Math.abs(other.x - x) < other.halfWidth + halfWidth && Math.abs(other.y - at) < other.halfHeight + halfHeight,
    );
    if (!hit) return at;
  }
  return null;
}
