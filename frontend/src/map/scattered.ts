import type { Rgb } from "./colouring";
import type { Points } from "./points";

interface Scattered {
  rows: Uint32Array;
  x: (row: number) => number;
  y: (row: number) => number;
  radius: (row: number) => number;
  colour: (row: number) => Rgb;
  /** Higher layers are drawn over others. */
  layer: (row: number) => number;
}

/** Points of a scatter plot; the more there are, the more they let each other through. */
export function scattered({ rows, x, y, radius, colour, layer }: Scattered): Points {
  const count = rows.length;
  const layers = Uint8Array.from(rows, layer);
  const order = Uint32Array.from(rows, (_, i) => i).sort((a, b) => layers[a]! - layers[b]! || a - b);
  const alpha = Math.round(255 * Math.max(0.35, Math.min(0.85, (1500 / Math.max(1, count)) ** 0.4)));
  const points: Points = {
    count,
    backdrop: 0,
    crowd: layers.filter((one) => one === 0).length,
    x: new Float32Array(count),
    y: new Float32Array(count),
    id: new Uint32Array(count),
    radius: new Float32Array(count),
    colour: new Uint8Array(4 * count),
  };
  order.forEach((from, to) => {
    const row = rows[from]!;
    points.id[to] = row;
    points.x[to] = x(row);
    points.y[to] = y(row);
    points.radius[to] = radius(row);
    points.colour.set(colour(row), 4 * to);
    points.colour[4 * to + 3] = alpha;
  });
  return points;
}
