/** A canvas of points that is panned, zoomed and pointed at. It draws only when something has changed. */
import { polygonContains } from "d3-polygon";
import { type Quadtree, quadtree } from "d3-quadtree";
import { select } from "d3-selection";
import { type D3ZoomEvent, type ZoomBehavior, zoom, zoomIdentity } from "d3-zoom";
import { glPainter, type Painter, plainPainter } from "./gl";
import {
  extent,
  type Frame,
  fitted,
  growth,
  type Margin,
  type Points,
  planeX,
  planeY,
  type Spot,
  screenX,
  screenY,
  type View,
  WHOLE,
} from "./points";

/** Where the picture stands; a new object for every picture. */
export interface Picture {
  frame: Frame;
  view: View;
}

export interface StageOptions {
  margin: Margin;
  /** Both axes to the same scale. */
  square: boolean;
  /** Whether the wheel zooms at once, or only after a click, so that the page can be scrolled past the picture. */
  wheel: () => boolean;
  /** While false, pointers do not move the picture. */
  movable: () => boolean;
  paper: [number, number, number];
}

const EMPTY: Points = {
  count: 0,
  backdrop: 0,
  crowd: 0,
  x: new Float32Array(),
  y: new Float32Array(),
  id: new Uint32Array(),
  radius: new Float32Array(),
  colour: new Uint8Array(),
};
const LARGEST_ZOOM = 80;
/** Milliseconds between two pictures of a movement from which on the crowd is thinned out while it goes on. */
const SLOW = 40;
/** Milliseconds without a movement after which all points are drawn again. */
const REST = 140;
/** Pixels beside a disc that still count as pointing at it. */
const NEAR = 7;

export class Stage {
  picture: Picture = {
    frame: fitted(extent(EMPTY), 10, 10, { left: 0, right: 0, top: 0, bottom: 0 }, false),
    view: WHOLE,
  };
  points: Points = EMPTY;
  /** Without WebGL the same is drawn more slowly. */
  readonly withGl: boolean;
  private painter: Painter | null;
  private tree: Quadtree<number> | null = null;
  private asked = 0;
  /** Pictures of this movement so far, when the last was drawn, and the mean time between them. */
  private movement = { pictures: 0, last: 0, pace: 0 };
  private slow: boolean;
  private resting = 0;
  private readonly listeners = new Set<() => void>();
  private readonly zoomer: ZoomBehavior<HTMLCanvasElement, unknown>;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly options: StageOptions,
  ) {
    const painter = glPainter(canvas, options.paper);
    this.withGl = painter !== null;
    this.painter = painter ?? plainPainter(canvas, options.paper);
    this.slow = this.painter?.slow ?? false;
    this.zoomer = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.7, LARGEST_ZOOM])
      .clickDistance(4)
      .filter(
        (event: MouseEvent) =>
          options.movable() &&
          !event.shiftKey &&
          !event.button &&
          (event.type !== "wheel" || event.ctrlKey || options.wheel()),
      )
      .on("zoom", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        const { k, x, y } = event.transform;
        this.picture = { frame: this.picture.frame, view: { k, x, y } };
        this.moving();
      });
    select(canvas).call(this.zoomer).on("dblclick.zoom", null);
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  show(points: Points): void {
    this.points = points;
    this.tree = null;
    this.painter?.load(points);
    this.fit();
  }

  resize(width: number, height: number): void {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.picture = { frame: { ...this.picture.frame, width, height }, view: this.picture.view };
    this.zoomer
      .extent([
        [0, 0],
        [width, height],
      ])
      .translateExtent([
        [-0.5 * width, -0.5 * height],
        [1.5 * width, 1.5 * height],
      ]);
    this.fit();
    // Drawn at once: a resized canvas is blank until then.
    this.draw();
  }

  zoomBy(factor: number): void {
    select(this.canvas).call(this.zoomer.scaleBy, factor);
  }

  panBy(dx: number, dy: number): void {
    const { k } = this.picture.view;
    select(this.canvas).call(this.zoomer.translateBy, dx / k, dy / k);
  }

  reset(): void {
    this.transform(WHOLE);
  }

  /** Puts a place of the plane into the middle. */
  turnTo({ x, y, k }: Spot): void {
    const { frame } = this.picture;
    this.transform({
      k,
      x: frame.width / 2 - k * (frame.sx * x + frame.tx),
      y: frame.height / 2 - k * (frame.sy * y + frame.ty),
    });
  }

  /** What is in the middle; null: the picture was not moved. */
  spot(): Spot | null {
    const { frame, view } = this.picture;
    if (view.k === 1 && view.x === 0 && view.y === 0) return null;
    return { x: planeX(frame, view, frame.width / 2), y: planeY(frame, view, frame.height / 2), k: view.k };
  }

  /** Index of the point that a place of the screen points at; -1: none. */
  nearest(px: number, py: number): number {
    const { frame, view } = this.picture;
    this.tree ??= this.planted();
    const reach = (NEAR + 7 * growth(view.k)) / view.k;
    const index = this.tree.find((px - view.x) / view.k, (py - view.y) / view.k, reach);
    if (index === undefined) return -1;
    const away = Math.hypot(
      screenX(frame, view, this.points.x[index]!) - px,
      screenY(frame, view, this.points.y[index]!) - py,
    );
    return away <= NEAR + this.points.radius[index]! * growth(view.k) ? index : -1;
  }

  /** Indices of the points inside a polygon of the screen, without the backdrop. */
  inside(polygon: [number, number][]): number[] {
    const { frame, view } = this.picture;
    return within(polygon, this.points, (i) => [
      screenX(frame, view, this.points.x[i]!),
      screenY(frame, view, this.points.y[i]!),
    ]);
  }

  dispose(): void {
    cancelAnimationFrame(this.asked);
    clearTimeout(this.resting);
    select(this.canvas).on(".zoom", null);
    this.painter?.dispose();
    this.painter = null;
    this.listeners.clear();
  }

  private transform(view: View): void {
    select(this.canvas).call(this.zoomer.transform, zoomIdentity.translate(view.x, view.y).scale(view.k));
  }

  private fit(): void {
    const { width, height } = this.picture.frame;
    const frame = fitted(extent(this.points), width, height, this.options.margin, this.options.square);
    this.picture = { frame, view: this.picture.view };
    this.tree = null;
    this.ask();
  }

  private planted(): Quadtree<number> {
    const { frame } = this.picture;
    const { x, y, count, backdrop } = this.points;
    const live = Array.from({ length: count - backdrop }, (_, i) => backdrop + i);
    return quadtree<number>()
      .x((i) => frame.sx * x[i]! + frame.tx)
      .y((i) => frame.sy * y[i]! + frame.ty)
      .addAll(live);
  }

  private ask(): void {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  private moving(): void {
    clearTimeout(this.resting);
    this.resting = window.setTimeout(() => {
      this.resting = 0;
      this.movement = { pictures: 0, last: 0, pace: 0 };
      if (this.slow) this.ask();
    }, REST);
    this.ask();
  }

  /** Whether this browser is too slow to draw everything at each step; measured in one movement, used in the next. */
  private measure(): void {
    const now = performance.now();
    const { pictures, last, pace } = this.movement;
    const step = now - last;
    this.movement = { pictures: pictures + 1, last: now, pace: pictures < 2 ? step : 0.7 * pace + 0.3 * step };
    if (pictures >= 3 && this.movement.pace > SLOW) this.slow = true;
  }

  private draw(): void {
    const moves = this.resting !== 0;
    if (moves) this.measure();
    this.painter?.draw(this.picture.frame, this.picture.view, devicePixelRatio || 1, moves && this.slow);
    for (const listener of this.listeners) listener();
  }
}

/** Indices of points behind the backdrop that lie inside a polygon, ascending. */
export function within(polygon: [number, number][], points: Points, place: (i: number) => [number, number]): number[] {
  if (polygon.length < 3) return [];
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const indices: number[] = [];
  for (let i = points.backdrop; i < points.count; i++) {
    const at = place(i);
    if (at[0] < left || at[0] > right || at[1] < top || at[1] > bottom) continue;
    if (polygonContains(polygon, at)) indices.push(i);
  }
  return indices;
}
