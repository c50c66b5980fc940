import { useComputedColorScheme } from "@mantine/core";
import { type RefObject, useEffect, useRef, useState } from "react";
import type { Margin, Points, Spot } from "./points";
import { Stage } from "./stage";

/** Where the picture starts, and what is told where it was moved to once it rests. */
export interface Moves {
  start: Spot | null;
  moved: (spot: Spot | null) => void;
}

interface Setting {
  canvas: RefObject<HTMLCanvasElement | null>;
  /** With the focus inside it the wheel zooms. */
  place: RefObject<HTMLElement | null>;
  points: Points;
  /** No axes. */
  square: boolean;
  width: number;
  height: number;
  /** The wheel zooms without the focus too. */
  wheel: boolean;
  /** A lasso is drawn: pointers do not move the picture. */
  lasso: boolean;
  view: Moves | undefined;
}

const PAPER: Record<"light" | "dark", [number, number, number]> = { light: [255, 255, 255], dark: [25, 30, 37] };
const BARE: Margin = { left: 26, right: 26, top: 26, bottom: 26 };
/** Where the axes are drawn. */
export const AXES: Margin = { left: 66, right: 22, top: 18, bottom: 50 };
/** Points at the ends are not cut by the axes. */
const WITH_AXES: Margin = { ...AXES, left: AXES.left + 12, bottom: AXES.bottom + 12 };
const SMALLEST = 20;
/** Milliseconds after a movement until the address has it. */
const SETTLED = 400;

/** A stage on a canvas, made anew when the page's colours change or a lost graphics context is restored. */
export function useStage({ canvas, place, points, square, width, height, wheel, lasso, view }: Setting): Stage | null {
  const dark = useComputedColorScheme("light") === "dark";
  const latest = useRef({ wheel, lasso, view });
  latest.current = { wheel, lasso, view };
  const [stage, setStage] = useState<Stage | null>(null);
  const [lost, setLost] = useState(0);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const made = new Stage(element, {
      margin: square ? BARE : WITH_AXES,
      square,
      wheel: () => latest.current.wheel || place.current?.contains(document.activeElement) === true,
      movable: () => !latest.current.lasso,
      paper: PAPER[dark ? "dark" : "light"],
    });
    setStage(made);
    const onLost = (event: Event) => event.preventDefault();
    const onBack = () => setLost((times) => times + 1);
    element.addEventListener("webglcontextlost", onLost);
    element.addEventListener("webglcontextrestored", onBack);
    return () => {
      element.removeEventListener("webglcontextlost", onLost);
      element.removeEventListener("webglcontextrestored", onBack);
      made.dispose();
    };
  }, [canvas, place, square, dark, lost]);
  const ready = stage !== null && width >= SMALLEST && height >= SMALLEST;
  useEffect(() => {
    if (stage && ready) stage.resize(width, height);
  }, [stage, ready, width, height]);
  useEffect(() => stage?.show(points), [stage, points]);
  useEffect(() => {
    const start = latest.current.view?.start;
    if (stage && ready && start) stage.turnTo(start);
  }, [stage, ready]);
  useMoved(stage, latest);
  return stage;
}

function useMoved(stage: Stage | null, latest: { current: { view: Moves | undefined } }) {
  useEffect(() => {
    if (!stage) return;
    let timer = 0;
    let before = stage.picture.view;
    const stop = stage.subscribe(() => {
      if (stage.picture.view === before) return;
      before = stage.picture.view;
      clearTimeout(timer);
      timer = window.setTimeout(() => latest.current.view?.moved(stage.spot()), SETTLED);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [stage, latest]);
}
