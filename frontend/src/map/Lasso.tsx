import { type PointerEvent, useEffect, useState } from "react";

/** Pixels between two corners of a drawn line. */
const STEP = 3;

/** Lies over a picture and takes a line that is drawn around points. Escape gives it up. */
export function Lasso({ done, cancel }: { done: (polygon: [number, number][]) => void; cancel: () => void }) {
  const [line, setLine] = useState<[number, number][]>([]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      cancel();
    };
    addEventListener("keydown", onKey, true);
    return () => removeEventListener("keydown", onKey, true);
  }, [cancel]);
  const at = (event: PointerEvent<SVGSVGElement>): [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const onDown = (event: PointerEvent<SVGSVGElement>) => {
    if (event.button) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setLine([at(event)]);
  };
  const onMove = (event: PointerEvent<SVGSVGElement>) => {
    const last = line.at(-1);
    if (!last) return;
    const next = at(event);
    if (Math.hypot(next[0] - last[0], next[1] - last[1]) >= STEP) setLine([...line, next]);
  };
  const onUp = () => {
    if (line.length >= 3) done(line);
    setLine([]);
  };
  return (
    <svg
      className="scatter-over lasso"
      onPointerDown={onDown}
      onPointerMove={onMove}
      onPointerUp={onUp}
      onPointerCancel={() => setLine([])}
      aria-hidden="true"
    >
      {line.length > 1 && <path d={`M${line.map((corner) => corner.join(" ")).join("L")}Z`} />}
    </svg>
  );
}
