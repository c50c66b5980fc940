/** Draws points, axes and names on a canvas. */
import { type ScaleLinear, type ScaleLogarithmic, scaleLinear, scaleLog } from "d3-scale";

export interface Point {
  /** The concept. */
  id: number;
  x: number;
  y: number;
  /** In CSS pixels, before zooming. */
  radius: number;
  colour: string;
  /** In [0, 1]. */
  opacity: number;
  /** Drawn, but not to be pointed at. */
  backdrop?: boolean;
}

export interface Axis {
  title: string;
  log?: boolean;
  text: (value: number) => string;
  /** A value at which a line is drawn: no gap. */
  neutral?: number;
}

export interface Axes {
  x: Axis;
  y: Axis;
}

/** A name and the place of its middle. */
export interface Name {
  text: string;
  x: number;
  y: number;
}

export type Scale = ScaleLinear<number, number> | ScaleLogarithmic<number, number>;

/** Room beside the points, in CSS pixels. */
const AXES = { left: 66, right: 22, top: 18, bottom: 50 };
const BARE = { left: 26, right: 26, top: 26, bottom: 26 };
/** Pixels beside a disc that still count as pointing at it. */
const NEAR = 6;

/** Points grow more slowly than the space between them. */
const growth = (zoom: number) => Math.min(3.2, Math.max(0.8, zoom ** 0.38));

/** Scales on which all points have room. */
export function scales(points: Point[], axes: Axes | null, width: number, height: number): { x: Scale; y: Scale } {
  const margin = axes ? AXES : BARE;
  const scale = (axis: Axis | undefined, of: (point: Point) => number, range: [number, number]): Scale => {
    let [low, high] = [Infinity, -Infinity];
    for (const point of points) {
      low = Math.min(low, of(point));
      high = Math.max(high, of(point));
    }
    if (!(low <= high)) [low, high] = [1, 2];
    if (low === high) [low, high] = axis?.log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    return (axis?.log ? scaleLog() : scaleLinear()).domain([low, high]).range(range);
  };
  const inset = axes ? 12 : 0;
  return {
    x: scale(axes?.x, (point) => point.x, [margin.left + inset, Math.max(margin.left + 20, width - margin.right)]),
    y: scale(axes?.y, (point) => point.y, [Math.max(margin.top + 20, height - margin.bottom - inset), margin.top]),
  };
}

/** The topmost point at a place of the screen; null: there is none. */
export function nearest(points: Point[], x: Scale, y: Scale, zoom: number, px: number, py: number): Point | null {
  let found: Point | null = null;
  let least = Infinity;
  for (const point of points) {
    if (point.backdrop) continue;
    const away = Math.hypot(x(point.x) - px, y(point.y) - py);
    if (away <= least && away <= NEAR + point.radius * growth(zoom)) [found, least] = [point, away];
  }
  return found;
}

interface Picture {
  points: Point[];
  x: Scale;
  y: Scale;
  zoom: number;
  axes: Axes | null;
  diagonal: boolean;
  names: Name[];
  opened: number | null;
  width: number;
  height: number;
}

export function draw(canvas: HTMLCanvasElement, picture: Picture): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(picture.width * ratio);
  canvas.height = Math.round(picture.height * ratio);
  context.scale(ratio, ratio);
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(`--${name}`);
  if (picture.axes) drawLines(context, picture, picture.axes, colour);
  drawPoints(context, picture, colour);
  if (picture.axes) drawAxes(context, picture, picture.axes, colour);
  drawNames(context, picture, colour);
}

type Colour = (name: string) => string;
type Context = CanvasRenderingContext2D;

function drawPoints(context: Context, { points, x, y, zoom, opened, width, height }: Picture, colour: Colour): void {
  const grown = growth(zoom);
  const edge = colour("card");
  let ring: [number, number, number] | null = null;
  for (const point of points) {
    const [px, py, reach] = [x(point.x), y(point.y), point.radius * grown];
    if (px < -reach || py < -reach || px > width + reach || py > height + reach) continue;
    context.globalAlpha = point.opacity;
    context.fillStyle = point.colour;
    if (reach < 1.6) context.fillRect(px - reach, py - reach, 2 * reach, 2 * reach);
    else {
      context.beginPath();
      context.arc(px, py, reach, 0, 2 * Math.PI);
      context.fill();
      if (reach > 2.6) {
        context.strokeStyle = edge;
        context.lineWidth = 0.8;
        context.stroke();
      }
    }
    if (point.id === opened) ring = [px, py, reach + 5];
  }
  context.globalAlpha = 1;
  if (ring) {
    context.strokeStyle = colour("ink");
    context.lineWidth = 2.2;
    context.beginPath();
    context.arc(...ring, 0, 2 * Math.PI);
    context.stroke();
  }
}

function segment(context: Context, fromX: number, fromY: number, toX: number, toY: number): void {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}

/** Faint lines at the ticks, dashed ones where nothing differs. */
function drawLines(context: Context, { x, y, diagonal, width, height }: Picture, axes: Axes, colour: Colour): void {
  const bottom = height - AXES.bottom;
  context.strokeStyle = colour("line");
  for (const tick of ticks(x, axes.x, width / 110)) segment(context, x(tick), 0, x(tick), bottom);
  for (const tick of ticks(y, axes.y, height / 70)) segment(context, AXES.left, y(tick), width, y(tick));
  context.strokeStyle = colour("faint");
  context.setLineDash([4, 4]);
  const across = axes.x.neutral;
  const upwards = axes.y.neutral;
  if (across !== undefined) segment(context, x(across), 0, x(across), bottom);
  if (upwards !== undefined) segment(context, AXES.left, y(upwards), width, y(upwards));
  if (diagonal) {
    const low = Math.max(x.invert(AXES.left), y.invert(bottom));
    const high = Math.min(x.invert(width), y.invert(0));
    if (low < high) segment(context, x(low), y(low), x(high), y(high));
  }
  context.setLineDash([]);
}

/** Round values; of a logarithm 1, 2 and 5 times its powers, or its powers where these have no room. */
function ticks(scale: Scale, axis: Axis, wanted: number): number[] {
  const values = scale.ticks(Math.max(2, wanted));
  if (!axis.log || values.length <= 1.5 * wanted) return values;
  const of = (digits: string) => values.filter((value) => digits.includes(value.toExponential()[0]!));
  return of("125").length <= 1.5 * wanted ? of("125") : of("1");
}

function drawAxes(context: Context, { x, y, width, height }: Picture, axes: Axes, colour: Colour): void {
  const bottom = height - AXES.bottom;
  context.fillStyle = colour("card");
  context.fillRect(0, 0, AXES.left, height);
  context.fillRect(0, bottom, width, AXES.bottom);
  context.fillStyle = colour("soft");
  context.font = `12px ${colour("sans")}`;
  context.textAlign = "center";
  for (const tick of ticks(x, axes.x, width / 110))
    if (x(tick) > AXES.left && x(tick) < width - 12) context.fillText(axes.x.text(tick), x(tick), bottom + 17);
  context.textAlign = "end";
  for (const tick of ticks(y, axes.y, height / 70))
    if (y(tick) > 8 && y(tick) < bottom) context.fillText(axes.y.text(tick), AXES.left - 8, y(tick) + 4);
  context.fillStyle = colour("ink");
  context.font = `600 12px ${colour("sans")}`;
  context.fillText(`${axes.x.title} →`, width - AXES.right, bottom + 38);
  context.save();
  context.translate(14, 12);
  context.rotate(-Math.PI / 2);
  context.fillText(`${axes.y.title} →`, 0, 0);
  context.restore();
}

/** The names that have room, the first ones first, with a halo so that they can be read over points. */
function drawNames(context: Context, { names, x, y, width, height }: Picture, colour: Colour): void {
  context.font = `600 12px ${colour("sans")}`;
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = colour("card");
  context.fillStyle = colour("ink");
  const taken: { x: number; y: number; half: number }[] = [];
  for (const { text, x: atX, y: atY } of names) {
    const half = context.measureText(text).width / 2 + 4;
    const at = { x: Math.max(half, Math.min(width - half, x(atX))), y: y(atY), half };
    if (x(atX) < 0 || x(atX) > width || at.y < 10 || at.y > height - 4) continue;
    if (taken.some((other) => Math.abs(other.x - at.x) < other.half + half && Math.abs(other.y - at.y) < 20)) continue;
    taken.push(at);
    context.strokeText(text, at.x, at.y);
    context.fillText(text, at.x, at.y);
  }
}
