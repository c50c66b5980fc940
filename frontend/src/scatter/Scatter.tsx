import { type ReactNode, useCallback, useMemo } from "react";
import { go } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { holds } from "../data/hooks";
import { type Axes, draw, extents, nearest, type Point, scales } from "./draw";
import { type Look, Plane } from "./Plane";

interface ScatterProps {
  /** In the order in which they are drawn, the last on top. */
  points: Point[];
  axes: Axes;
  /** What it shows, for those who cannot see it. */
  label: string;
  testId: string;
  /** What is said of the concept that is pointed at. */
  tip: (concept: number) => ReactNode;
}

/** Concepts as points against two axes, with a line along which both values are equal; a click opens one. */
export function Scatter({ points, axes, label, testId, tip }: ScatterProps) {
  const run = useRun();
  const opened = useNumberParam("concept");
  const ends = useMemo(() => extents(points, axes), [points, axes]);
  const seen = useCallback(
    ({ view, width, height }: Look) => {
      const { x, y } = scales(ends, axes, width, height);
      return { x: view.rescaleX(x), y: view.rescaleY(y), zoom: view.k };
    },
    [ends, axes],
  );
  return (
    <Plane
      draw={useCallback(
        (canvas: HTMLCanvasElement, look: Look) => draw(canvas, { points, axes, opened, ...look, ...seen(look) }),
        [points, axes, opened, seen],
      )}
      at={(look, px, py) => {
        const { x, y, zoom } = seen(look);
        const point = nearest(points, x, y, zoom, px, py);
        return point && { id: point.id, x: x(point.x), y: y(point.y) };
      }}
      tip={({ id }) => tip(id)}
      onOpen={({ id }) => holds(run, "concept", id) && go({ params: { concept: id, item: null } })}
      points={points.length}
      label={label}
      testId={testId}
    />
  );
}
