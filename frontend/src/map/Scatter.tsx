import { ActionIcon } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { IconFocusCentered, IconMinus, IconPlus } from "@tabler/icons-react";
import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { AxisLines } from "./AxisLines";
import type { Axis } from "./axes";
import { Lasso } from "./Lasso";
import { growth, type Points, screenX, screenY } from "./points";
import type { Picture, Stage } from "./stage";
import { AXES, type Moves, useStage } from "./useStage";
import "./scatter.css";

interface ScatterProps {
  points: Points;
  /** Null: a plane without axes, to the same scale both ways. */
  axes: { x: Axis; y: Axis } | null;
  /** A line along which both coordinates are equal. */
  diagonal?: boolean;
  /** What it shows, for those who cannot see it. */
  label: string;
  testId: string;
  /** What is said of the point that is pointed at. */
  tip: (id: number) => ReactNode;
  onOpen: (id: number) => void;
  /** The concept that is open beside the picture. */
  opened: number | null;
  /** A few chosen concepts that get a ring. */
  marked?: Uint32Array | null;
  /** The wheel zooms at once; else only after a click into the picture. */
  wheel?: boolean;
  /** With it, a lasso can be drawn: ids inside it, ascending. */
  lasso?: { on: boolean; done: (ids: Uint32Array) => void; cancel: () => void };
  /** Drawn over the points. */
  over?: (picture: Picture) => ReactNode;
  view?: Moves;
}

/** Points that can be panned, zoomed, pointed at and lassoed. */
export function Scatter({
  points,
  axes,
  diagonal,
  label,
  testId,
  tip,
  onOpen,
  opened,
  marked,
  wheel,
  lasso,
  over,
  view,
}: ScatterProps) {
  const { ref: sizeRef, width, height } = useElementSize();
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const stage = useStage({
    canvas,
    place,
    points,
    square: axes === null,
    width,
    height,
    wheel: wheel === true,
    lasso: lasso?.on === true,
    view,
  });
  const [pointed, setPointed] = useState(-1);
  useEffect(() => setPointed(-1), [stage, points]);
  const rings = useMemo(() => {
    const indices = new Map(Array.from(points.id, (id, index) => [id, index]));
    const indicesOf = (ids: Iterable<number>) => [...ids].flatMap((id) => indices.get(id) ?? []);
    return { marked: indicesOf(marked ?? []), opened: indicesOf(opened === null ? [] : [opened]) };
  }, [points, marked, opened]);

  const onMove = (event: PointerEvent<HTMLCanvasElement>) => {
    if (!stage) return;
    const box = event.currentTarget.getBoundingClientRect();
    setPointed(event.buttons ? -1 : stage.nearest(event.clientX - box.left, event.clientY - box.top));
  };
  const onClick = (event: React.MouseEvent<HTMLCanvasElement>) => {
    place.current?.focus({ preventScroll: true });
    if (!stage) return;
    const box = event.currentTarget.getBoundingClientRect();
    const index = stage.nearest(event.clientX - box.left, event.clientY - box.top);
    if (index >= 0) onOpen(points.id[index]!);
  };
  return (
    <div className="scatter" data-testid={testId} data-points={points.count - points.backdrop}>
      <div
        ref={place}
        className="scatter-place"
        role="group"
        tabIndex={0}
        aria-label={`${label} Arrow keys move the picture, plus and minus zoom, 0 shows all.`}
        onKeyDown={(event) => stage && onKey(event, stage)}
      >
        <div ref={sizeRef} className="scatter-size">
          <canvas
            ref={canvas}
            className={pointed >= 0 ? "pointing" : undefined}
            onPointerMove={onMove}
            onPointerLeave={() => setPointed(-1)}
            onClick={onClick}
          />
        </div>
        {stage && (
          <Over stage={stage}>
            {(picture) => (
              <>
                {over?.(picture)}
                {axes && <AxisLines picture={picture} axes={axes} diagonal={diagonal === true} margin={AXES} />}
                <Rings picture={picture} points={points} {...rings} />
                {pointed >= 0 && pointed < points.count && (
                  <Tip picture={picture} points={points} index={pointed}>
                    {tip(points.id[pointed]!)}
                  </Tip>
                )}
              </>
            )}
          </Over>
        )}
        {stage && lasso?.on && (
          <Lasso
            cancel={lasso.cancel}
            done={(polygon) => lasso.done(Uint32Array.from(stage.inside(polygon), (i) => points.id[i]!).sort())}
          />
        )}
      </div>
      {stage && <Buttons stage={stage} />}
      {stage && !stage.withGl && (
        <p className="scatter-note">This browser has no WebGL: the picture moves more slowly.</p>
      )}
    </div>
  );
}

/** What lies over the points and moves with them. */
function Over({ stage, children }: { stage: Stage; children: (picture: Picture) => ReactNode }) {
  const picture = useSyncExternalStore(stage.subscribe, () => stage.picture);
  return <>{children(picture)}</>;
}

const STEP = 60;
const KEYS: Record<string, (stage: Stage) => void> = {
  ArrowLeft: (stage) => stage.panBy(STEP, 0),
  ArrowRight: (stage) => stage.panBy(-STEP, 0),
  ArrowUp: (stage) => stage.panBy(0, STEP),
  ArrowDown: (stage) => stage.panBy(0, -STEP),
  "+": (stage) => stage.zoomBy(1.4),
  "=": (stage) => stage.zoomBy(1.4),
  "-": (stage) => stage.zoomBy(1 / 1.4),
  "0": (stage) => stage.reset(),
};

function onKey(event: KeyboardEvent, stage: Stage) {
  const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(stage);
}

function Buttons({ stage }: { stage: Stage }) {
  return (
    <div className="scatter-buttons">
      <ActionIcon variant="default" aria-label="Zoom in" onClick={() => stage.zoomBy(1.6)}>
        <IconPlus size={16} />
      </ActionIcon>
      <ActionIcon variant="default" aria-label="Zoom out" onClick={() => stage.zoomBy(1 / 1.6)}>
        <IconMinus size={16} />
      </ActionIcon>
      <ActionIcon variant="default" aria-label="Show all" onClick={() => stage.reset()}>
        <IconFocusCentered size={16} />
      </ActionIcon>
    </div>
  );
}

function Rings({
  picture: { frame, view },
  points,
  marked,
  opened,
}: {
  picture: Picture;
  points: Points;
  marked: number[];
  opened: number[];
}) {
  if (marked.length + opened.length === 0) return null;
  const ring = (index: number, name: string, beside: number) => (
    <circle
      key={`${name}${index}`}
      className={name}
      cx={screenX(frame, view, points.x[index]!)}
      cy={screenY(frame, view, points.y[index]!)}
      r={points.radius[index]! * growth(view.k) + beside}
    />
  );
  return (
    <svg className="scatter-over" aria-hidden="true">
      {marked.map((index) => ring(index, "ring-marked", 3))}
      {opened.map((index) => ring(index, "ring", 5))}
    </svg>
  );
}

function Tip({
  picture: { frame, view },
  points,
  index,
  children,
}: {
  picture: Picture;
  points: Points;
  index: number;
  children: ReactNode;
}) {
  const left = screenX(frame, view, points.x[index]!);
  const top = screenY(frame, view, points.y[index]!);
  const style = {
    ...(left > frame.width / 2 ? { right: frame.width - left + 12 } : { left: left + 12 }),
    ...(top > frame.height / 2 ? { bottom: frame.height - top + 10 } : { top: top + 10 }),
  };
  return (
    <div className="scatter-tip" style={style}>
      {children}
    </div>
  );
}
