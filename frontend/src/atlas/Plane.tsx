import { ActionIcon, useComputedColorScheme } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { IconFocusCentered, IconMinus, IconPlus } from "@tabler/icons-react";
import { select } from "d3-selection";
import { type D3ZoomEvent, type ZoomBehavior, type ZoomTransform, zoom, zoomIdentity } from "d3-zoom";
import { type MouseEvent, type ReactNode, useEffect, useRef, useState } from "react";
import "./plane.css";

/** Size of the canvas in CSS pixels, and its pan and zoom. */
export interface Look {
  view: ZoomTransform;
  width: number;
  height: number;
}

/** A target of the pointer, with its position on the canvas. */
export interface Spot {
  x: number;
  y: number;
}

interface PlaneProps<At extends Spot> {
  /** Draw the canvas; a new function causes a redraw. */
  draw: (canvas: HTMLCanvasElement, look: Look) => void;
  /** The target at a position of the canvas; null: none. */
  at: (look: Look, x: number, y: number) => At | null;
  /** Content of the tooltip; null: no tooltip. */
  tip: (at: At) => ReactNode;
  onOpen: (at: At) => void;
  /** Number of targets. */
  points: number;
  /** Description for screen readers. */
  label: string;
  testId: string;
}

const STEP = 60;

/** A canvas with pan, zoom and tooltips. */
export function Plane<At extends Spot>({ draw, at, tip, onOpen, points, label, testId }: PlaneProps<At>) {
  const dark = useComputedColorScheme("light") === "dark";
  const { ref: sizeRef, width, height } = useElementSize();
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [view, setView] = useState<ZoomTransform>(zoomIdentity);
  const [pointed, setPointed] = useState<At | null>(null);
  const zoomer = useRef<ZoomBehavior<HTMLCanvasElement, unknown>>(null);
  useEffect(() => {
    if (!canvas.current) return;
    zoomer.current = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.7, 80])
      .clickDistance(4)
      .filter((event: globalThis.MouseEvent) => !event.button)
      .on("zoom", ({ transform }: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        setView(transform);
        setPointed(null);
      });
    select(canvas.current).call(zoomer.current).on("dblclick.zoom", null);
  }, []);
  // Redraw when the colour scheme changes: drawing reads the page's colours.
  useEffect(() => {
    if (canvas.current && width > 20) draw(canvas.current, { view, width, height });
  }, [draw, view, width, height, dark]);
  const under = (event: MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return at({ view, width, height }, event.clientX - box.left, event.clientY - box.top);
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
  const tooltip = pointed && tip(pointed);
  return (
    <div className="plane" data-testid={testId} data-points={points}>
      <div
        ref={frame}
        className="plane-frame"
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
        <div ref={sizeRef} className="plane-size">
          <canvas
            ref={canvas}
            className={pointed ? "pointing" : undefined}
            onPointerMove={(event) => setPointed(event.buttons ? null : under(event))}
            onPointerLeave={() => setPointed(null)}
            onClick={(event) => {
              frame.current?.focus({ preventScroll: true });
              const target = under(event);
              if (target) onOpen(target);
            }}
          />
        </div>
        {tooltip && (
          <div className="plane-tip" style={beside(pointed, width, height)}>
            {tooltip}
          </div>
        )}
      </div>
      <div className="plane-buttons">
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

const beside = ({ x, y }: Spot, width: number, height: number) => ({
  ...(x > width / 2 ? { right: width - x + 12 } : { left: x + 12 }),
  ...(y > height / 2 ? { bottom: height - y + 10 } : { top: y + 10 }),
});
