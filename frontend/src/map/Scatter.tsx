import { ActionIcon, useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { IconFocusCentered, IconMinus, IconPlus } from "@tabler/icons-react";
import { select } from "d3-selection";
import { type D3ZoomEvent, type ZoomBehavior, type ZoomTransform, zoom, zoomIdentity } from "d3-zoom";
import { type MouseEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { go } from "../app/route";
import { useNumberParam } from "../app/state";
import { type Axes, draw, type Name, nearest, type Point, scales } from "./draw";
import "./scatter.css";

interface ScatterProps {
  /** In the order in which they are drawn, the last on top. */
  points: Point[];
  /** Null: a plane without axes. */
  axes: Axes | null;
  /** A line along which both coordinates are equal. */
  diagonal?: boolean;
  names?: Name[];
  /** What it shows, for those who cannot see it. */
  label: string;
  testId: string;
  /** What is said of the concept that is pointed at. */
  tip: (id: number) => ReactNode;
  /** The wheel zooms at once; else only after a click, so that the page can be scrolled past the picture. */
  wheel?: boolean;
}

const STEP = 60;

/** Concepts as points that can be panned, zoomed, pointed at and opened. */
export function Scatter({ points, axes, diagonal = false, names, label, testId, tip, wheel = false }: ScatterProps) {
  const dark = useComputedColorScheme("light") === "dark";
  const opened = useNumberParam("concept");
  const { ref: sizeRef, width, height } = useElementSize();
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<ZoomTransform>(zoomIdentity);
  const [pointed, setPointed] = useState<Point | null>(null);
  const zoomer = useRef<ZoomBehavior<HTMLCanvasElement, unknown>>(null);
  useEffect(() => {
    if (!canvas.current) return;
    zoomer.current = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.7, 80])
      .clickDistance(4)
      .filter(
        (event: globalThis.MouseEvent) =>
          !event.button &&
          (event.type !== "wheel" ||
            wheel ||
            event.ctrlKey ||
            place.current?.contains(document.activeElement) === true),
      )
      .on("zoom", ({ transform }: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        setView(transform);
        setPointed(null);
      });
    select(canvas.current).call(zoomer.current).on("dblclick.zoom", null);
  }, [wheel]);
  const fitted = useMemo(() => scales(points, axes, width, height), [points, axes, width, height]);
  const [x, y] = [view.rescaleX(fitted.x), view.rescaleY(fitted.y)];
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours of the page are read when it is drawn.
  useEffect(() => {
    if (canvas.current && width > 20)
      draw(canvas.current, { points, x, y, zoom: view.k, axes, diagonal, names: names ?? [], opened, width, height });
  }, [points, axes, diagonal, names, opened, width, height, view, dark]);
  const at = (event: MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return nearest(points, x, y, view.k, event.clientX - box.left, event.clientY - box.top);
  };
  const on = () => select(canvas.current!);
  const scaleBy = (factor: number) => zoomer.current && on().call(zoomer.current.scaleBy, factor);
  const panBy = (dx: number, dy: number) =>
    zoomer.current && on().call(zoomer.current.translateBy, dx / view.k, dy / view.k);
  const reset = () => zoomer.current && on().call(zoomer.current.transform, zoomIdentity);
  const keys: Record<string, () => void> = {
    ArrowLeft: () => panBy(STEP, 0),
    ArrowRight: () => panBy(-STEP, 0),
    ArrowUp: () => panBy(0, STEP),
    ArrowDown: () => panBy(0, -STEP),
    "+": () => scaleBy(1.4),
    "-": () => scaleBy(1 / 1.4),
    "0": reset,
  };
  return (
    <div className="scatter" data-testid={testId} data-points={points.filter((point) => !point.backdrop).length}>
      <div
        ref={place}
        className="scatter-place"
        role="group"
        tabIndex={0}
        aria-label={`${label} Arrow keys move the picture, plus and minus zoom, 0 shows all.`}
        onKeyDown={(event) => {
          const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
          if (!act) return;
          event.preventDefault();
          act();
        }}
      >
        <div ref={sizeRef} className="scatter-size">
          <canvas
            ref={canvas}
            className={pointed ? "pointing" : undefined}
            onPointerMove={(event) => setPointed(event.buttons ? null : at(event))}
            onPointerLeave={() => setPointed(null)}
            onClick={(event) => {
              place.current?.focus({ preventScroll: true });
              const point = at(event);
              if (point) go({ params: { concept: point.id, item: null } });
            }}
          />
        </div>
        {pointed && (
          <Tip left={x(pointed.x)} top={y(pointed.y)} width={width} height={height}>
            {tip(pointed.id)}
          </Tip>
        )}
      </div>
      <div className="scatter-buttons">
        <ActionIcon variant="default" aria-label="Zoom in" onClick={() => scaleBy(1.6)}>
          <IconPlus size={16} />
        </ActionIcon>
        <ActionIcon variant="default" aria-label="Zoom out" onClick={() => scaleBy(1 / 1.6)}>
          <IconMinus size={16} />
        </ActionIcon>
        <ActionIcon variant="default" aria-label="Show all" onClick={reset}>
          <IconFocusCentered size={16} />
        </ActionIcon>
      </div>
    </div>
  );
}

interface TipProps {
  left: number;
  top: number;
  width: number;
  height: number;
  children: ReactNode;
}

function Tip({ left, top, width, height, children }: TipProps) {
  const style = {
    ...(left > width / 2 ? { right: width - left + 12 } : { left: left + 12 }),
    ...(top > height / 2 ? { bottom: height - top + 10 } : { top: top + 10 }),
  };
  return (
    <div className="scatter-tip" style={style}>
      {children}
    </div>
  );
}
