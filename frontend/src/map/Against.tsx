import { type ReactNode, useCallback, useMemo } from "react";
import { go } from "../app/route";
import { useNumberParam } from "../app/state";
import { radii } from "./arrange";
import type { Axis } from "./axes";
import type { Rgb } from "./colouring";
import type { Points } from "./points";
import { Scatter } from "./Scatter";

interface Sides {
  /** Concepts to draw. */
  rows: Uint32Array;
  /** The measure of each concept on either side. */
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  /** Items of each concept: they make its point larger. */
  support: ArrayLike<number>;
  /** Whether the sides are drawn by their logarithms. */
  log: boolean;
  colour: (row: number) => Rgb;
  /** Higher layers are drawn over others. */
  layer: (row: number) => number;
}

interface AgainstProps {
  /** The same object as long as nothing of it changes. */
  sides: Sides;
  axes: { x: Axis; y: Axis };
  label: string;
  testId: string;
  /** What is said of the concept that is pointed at. */
  tip: (concept: number) => ReactNode;
}

/** A measure of each concept on one side against the same measure on the other. */
export function Against({ sides, ...plot }: AgainstProps) {
  const opened = useNumberParam("concept");
  const points = useMemo(() => pointsOf(sides), [sides]);
  const onOpen = useCallback((concept: number) => go({ params: { concept, item: null } }), []);
  return <Scatter points={points} diagonal opened={opened} onOpen={onOpen} {...plot} />;
}

/** The points, of which the more there are, the more they let each other through. */
function pointsOf({ rows, x, y, support, log, colour, layer }: Sides): Points {
  const count = rows.length;
  const place = log ? Math.log10 : (value: number) => value;
  const radius = radii(support, count);
  const layers = Uint8Array.from(rows, layer);
  const order = Uint32Array.from(rows, (_, i) => i).sort((a, b) => layers[a]! - layers[b]! || a - b);
  const alpha = Math.round(255 * Math.max(0.35, Math.min(0.85, (1500 / Math.max(1, count)) ** 0.4)));
  const points: Points = {
    count,
    backdrop: 0,
    crowd: layers.filter((number) => number === 0).length,
    x: new Float32Array(count),
    y: new Float32Array(count),
    id: new Uint32Array(count),
    radius: new Float32Array(count),
    colour: new Uint8Array(4 * count),
  };
  order.forEach((from, to) => {
    const row = rows[from]!;
    points.id[to] = row;
    points.x[to] = place(x[row]!);
    points.y[to] = place(y[row]!);
    points.radius[to] = radius(row);
    points.colour.set(colour(row), 4 * to);
    points.colour[4 * to + 3] = alpha;
  });
  return points;
}
