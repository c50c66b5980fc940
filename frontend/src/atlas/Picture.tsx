import { useComputedColorScheme } from "@mantine/core";
import { useCallback, useMemo, useRef } from "react";
import { go } from "../app/route";
import { useBenchmark, useNumberParam, useRun } from "../app/state";
import { pageHas } from "../data/hooks";
import { number, numbers, text } from "../data/table";
import type { SliceGap } from "../data/types";
import { decimal, percent, plural, points } from "../format";
import { shorten, visible } from "../text";
import { COLOURINGS, type Colouring, discsOf, dotsOf, namesOf } from "./colouring";
import { type Dots, discAt, dotAt, drawDiscs, drawDots, drawNames, frameOf, type Label } from "./draw";
import { type Look, Plane, type Spot } from "./Plane";
import { liesIn, pathOf, regionAtLevel } from "./regions";
import type { AtlasData } from "./useAtlas";

/** Zoom from which names of a level are shown. */
const FROM = [0, 1.7, 4.2];
const levelAt = (zoom: number) => FROM.filter((least) => zoom >= least).length || 1;

interface PictureProps {
  atlas: AtlasData;
  /** Whether outcomes are against peers. */
  peers: boolean;
  /** Of regions, and the slices that the model's list has. */
  gaps: Map<number, SliceGap>;
  listed: Set<number>;
  outcome: ArrayLike<number> | null;
  by: Colouring;
}

/** What is pointed at: a name, or an item. */
type Pointed = Spot & { region: number; item: number | null };

/** Regions with their names, and items as points or as a disc per region. A click chooses a region, then an item. */
export function Picture({ atlas, peers, gaps, listed, outcome, by }: PictureProps) {
  const run = useRun();
  const { regions } = run;
  const chosen = useNumberParam("region");
  const dark = useComputedColorScheme("light") === "dark";
  const { locations, items } = atlas;
  const benchmark = useBenchmark();
  const labels = useRef<Label[]>([]);
  const [x, y, finest] = (["x", "y", "region"] as const).map((key) => numbers(locations, key));
  // biome-ignore lint/correctness/useExhaustiveDependencies: columns of a table are always the same.
  const frame = useMemo(
    () =>
      frameOf([
        { x: x!, y: y! },
        { x: regions.map((region) => region.x), y: regions.map((region) => region.y) },
      ]),
    [locations, regions],
  );
  const dots = useMemo(
    () => dotsOf(regions, atlas, outcome, by, dark, chosen),
    [regions, atlas, outcome, by, dark, chosen],
  );
  const discs = useMemo(() => discsOf(regions, atlas), [regions, atlas]);
  const names = useMemo(
    () => namesOf(regions, atlas, gaps, listed, by, chosen),
    [regions, atlas, gaps, listed, by, chosen],
  );
  const discsAt = useCallback(
    ({ view }: Look) => discs.filter(({ region }) => regions[region]!.level === Math.max(2, levelAt(view.k))),
    [discs, regions],
  );
  const draw = useCallback(
    (canvas: HTMLCanvasElement, look: Look) => {
      const context = canvas.getContext("2d")!;
      const ratio = devicePixelRatio || 1;
      const [width, height] = [look.width, look.height].map((size) => Math.round(size * ratio));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const style = getComputedStyle(canvas);
      const colour = (name: string) => style.getPropertyValue(`--${name}`);
      drawDots(canvas, by === "coverage" ? NO_DOTS : dots, frame, look);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const level = levelAt(look.view.k);
      if (by === "coverage") drawDiscs(context, discsAt(look), frame, look, colour);
      const shown = names.filter((name) => name.level <= level || name.region === chosen || name.always);
      labels.current = drawNames(context, shown, frame, look, colour);
    },
    [by, dots, discsAt, names, frame, chosen],
  );
  const at = (look: Look, px: number, py: number): Pointed | null => {
    const over = labels.current.find(
      (label) => Math.abs(label.x - px) < label.halfWidth && Math.abs(label.y - py) < label.halfHeight,
    );
    if (over) return { region: over.region, item: null, x: px, y: py };
    if (by === "coverage") {
      const disc = discAt(discsAt(look), frame, look, px, py);
      return disc ? { region: disc.region, item: null, x: px, y: py } : null;
    }
    const item = dotAt(dots, frame, look, px, py);
    if (item < 0) return null;
    const ancestor = regionAtLevel(regions, levelAt(look.view.k))[finest![item]!]!;
    return { region: ancestor, item, x: px, y: py };
  };
  const open = ({ region, item }: Pointed) => {
    const inside = item !== null && chosen !== null && liesIn(regions, chosen)(finest![item]!);
    if (inside && (regions[chosen]?.level ?? 1) >= regions[region]!.level) {
      if (pageHas(run, "item", item)) go({ params: { item, concept: null } });
    } else go({ params: { region } });
  };
  const where = benchmark === null ? "" : ` of ${visible(run.benchmarks[benchmark]!.name)}`;
  return (
    <Plane
      draw={draw}
      at={at}
      onOpen={open}
      points={by === "coverage" ? discs.filter(({ share }) => share > 0).length : dots.order.length}
      testId="atlas-canvas"
      label={`Atlas: ${plural(atlas.tally.items, "item")}${where} by region, coloured by ${COLOURINGS[by]}.`}
      tip={({ region, item }) => (
        <>
          <strong>
            <bdi>
              {item === null
                ? visible(regions[region]!.name)
                : shorten(visible(text(items, "excerpt", item) ?? `item ${item}`), 160)}
            </bdi>
          </strong>
          <span className="soft">
            {item === null ? (
              tallyWords(atlas, region)
            ) : (
              <bdi>
                {outcome && `${outcomeWords(outcome[item]!, peers)} · `}
                {pathOf(regions, finest![item]!)
                  .map(({ name }) => visible(name))
                  .join(" › ")}
                {number(locations, "unlike", item) && " · unlike anything on the map"}
              </bdi>
            )}
          </span>
        </>
      )}
    />
  );
}

function tallyWords({ shares, benchmarks }: AtlasData, region: number): string {
  const { items, share, public: usual } = shares[region]!;
  return `${plural(items, "item")}, ${percent(share, 1)}${benchmarks ? `; public ${percent(usual, 1)}` : ""}`;
}

const outcomeWords = (value: number, peers: boolean) => {
  if (Number.isNaN(value)) return "no score";
  return peers ? `${points(value, 0)} points against peers` : `score ${decimal(value)}`;
};

const NO_DOTS: Dots = { x: [], y: [], order: new Uint32Array(), tone: new Uint8Array(), colours: [] };
