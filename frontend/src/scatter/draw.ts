/** Draws points and axes on a canvas. */
import { type ScaleLinear, type ScaleLogarithmic, scaleLinear, scaleLog } from "d3-scale";

export interface Point {
  /** The concept. */
  id: number;
  x: number;
  y: number;
  /** In CSS pixels, before zooming. */
  radius: number;
  /** Name of a colour of the page. */
  colour: string;
  /** In [0, 1]. */
  opacity: number;
}

export interface Axis {
  title: string;
  log?: boolean;
  text: (value: number) => string;
}

export interface Axes {
  x: Axis;
  y: Axis;
}

export type Scale = ScaleLinear<number, number> | ScaleLogarithmic<number, number>;

/** Radius by support: its logarithm, for few concepts have most of it. Many points are drawn smaller. */
export function radii(support: ArrayLike<number>, on: number): (row: number) => number {
  let most = 1;
  for (let row = 0; row < support.length; row++) if (support[row]! > most) most = support[row]!;
  const crowd = Math.min(1, Math.max(0.4, (6000 / Math.max(1, on)) ** 0.3));
  const top = Math.log1p(most);
  return (row) => (1.9 + 5.2 * (Math.log1p(Math.max(0, support[row] || 0)) / top) ** 2) * crowd;
}

/** Room beside the points, in CSS pixels. */
const MARGIN = { left: 66, right: 22, top: 18, bottom: 50 };
/** Room between the axes and the points. */
const INSET = 12;
/** Pixels beside a disc that still count as pointing at it. */
const NEAR = 6;

/** Points grow more slowly than the space between them. */
const growth = (zoom: number) => Math.min(3.2, Math.max(0.8, zoom ** 0.38));

type Ends = [number, number];

/** The least and the largest coordinates. */
export function extents(points: Point[], axes: Axes): { x: Ends; y: Ends } {
  const ends = (axis: Axis, of: (point: Point) => number): Ends => {
    let [low, high] = [Infinity, -Infinity];
    for (const point of points) {
      low = Math.min(low, of(point));
      high = Math.max(high, of(point));
    }
    if (!(low <= high)) return [1, 2];
    return low < high ? [low, high] : axis.log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  };
  return { x: ends(axes.x, (point) => point.x), y: ends(axes.y, (point) => point.y) };
}

/** Scales on which all points have room. */
export function scales(ends: { x: Ends; y: Ends }, axes: Axes, width: number, height: number): { x: Scale; y: Scale } {
  const { left, right, top, bottom } = MARGIN;
  const scale = (axis: Axis, domain: Ends, range: Ends): Scale =>
    (axis.log ? scaleLog() : scaleLinear()).domain(domain).range(range);
  return {
    x: scale(axes.x, ends.x, [left + INSET, Math.max(left + 20, width - right)]),
    y: scale(axes.y, ends.y, [Math.max(top + 20, height - bottom - INSET), top]),
  };
}

/** The topmost point at a place of the screen; null: there is none. */
export function nearest(points: Point[], x: Scale, y: Scale, zoom: number, px: number, py: number): Point | null {
  let found: Point | null = null;
  let least = Infinity;
  for (const point of points) {
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
  axes: Axes;
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
  const known: Record<string, string> = {};
  const colour = (name: string) => (known[name] ??= style.getPropertyValue(`--${name}`));
  drawLines(context, picture, colour);
  drawPoints(context, picture, colour);
  drawAxes(context, picture, colour);
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
    context.fillStyle = colour(point.colour);
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

/** Faint lines at the ticks; a dashed one where both coordinates are equal. */
function drawLines(context: Context, { x, y, axes, width, height }: Picture, colour: Colour): void {
  const bottom = height - MARGIN.bottom;
  context.strokeStyle = colour("line");
  for (const tick of ticks(x, axes.x, width / 110)) segment(context, x(tick), 0, x(tick), bottom);
  for (const tick of ticks(y, axes.y, height / 70)) segment(context, MARGIN.left, y(tick), width, y(tick));
  context.strokeStyle = colour("faint");
  context.setLineDash([4, 4]);
  const low = Math.max(x.invert(MARGIN.left), y.invert(bottom));
  const high = Math.min(x.invert(width), y.invert(0));
  if (low < high) segment(context, x(low), y(low), x(high), y(high));
  context.setLineDash([]);
}

/** Round values; of a logarithm 1, 2 and 5 times its powers, or its powers where these have no room. */
function ticks(scale: Scale, axis: Axis, wanted: number): number[] {
  const values = scale.ticks(Math.max(2, wanted));
  if (!axis.log || values.length <= 1.5 * wanted) return values;
  const of = (digits: string) => values.filter((value) => digits.includes(value.toExponential()[0]!));
  return of("125").length <= 1.5 * wanted ? of("125") : of("1");
}

function drawAxes(context: Context, { x, y, axes, width, height }: Picture, colour: Colour): void {
  const bottom = height - MARGIN.bottom;
  context.fillStyle = colour("card");
  context.fillRect(0, 0, MARGIN.left, height);
  context.fillRect(0, bottom, width, MARGIN.bottom);
  context.fillStyle = colour("soft");
  context.font = `12px ${colour("sans")}`;
  context.textAlign = "center";
  for (const tick of ticks(x, axes.x, width / 110))
    if (x(tick) > MARGIN.left && x(tick) < width - 12) context.fillText(axes.x.text(tick), x(tick), bottom + 17);
  context.textAlign = "end";
  for (const tick of ticks(y, axes.y, height / 70))
    if (y(tick) > 8 && y(tick) < bottom) context.fillText(axes.y.text(tick), MARGIN.left - 8, y(tick) + 4);
  context.fillStyle = colour("ink");
  context.font = `600 12px ${colour("sans")}`;
  context.fillText(`${axes.x.title} →`, width - MARGIN.right, bottom + 38);
  context.save();
  context.translate(14, 12);
  context.rotate(-Math.PI / 2);
  context.fillText(`${axes.y.title} →`, 0, 0);
  context.restore();
}
