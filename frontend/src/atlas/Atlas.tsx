import { Select, useComputedColorScheme } from "@mantine/core";
import { useMemo } from "react";
import { outcomeOf } from "../answer/slices";
import { useAnswer } from "../answer/useAnswer";
import { go, useRoute } from "../app/route";
import { useBenchmark, useFace, useModel, useRun } from "../app/state";
import { useSlices, useTable } from "../data/hooks";
import type { ListedAnswer, SliceGap } from "../data/types";
import { integer, plural } from "../format";
import { diverging } from "../ui/colours";
import { Heading } from "../ui/Heading";
import { HeatBar } from "../ui/Heat";
import { Failed, Loading } from "../ui/State";
import { COLOURINGS, type Colouring } from "./colouring";
import { Picture } from "./Picture";
import { RegionPanel } from "./RegionPanel";
import { findingsIn, gapsOf } from "./regions";
import { type AtlasData, useAtlas } from "./useAtlas";
import "./atlas.css";

/** The atlas: where items lie on a map of topics, and how the model does there. */
export function Atlas() {
  const run = useRun();
  const model = useModel();
  const { answer, gaps, error: failedToFind } = useAnswer();
  const scores = useTable(model === null ? null : run.key, "scores.parquet");
  const peers = answer?.kind === "peers" ? answer.against.join("\n") : "";
  const outcome = useMemo(() => {
    // The answer says which peers the scores are compared with.
    if (!scores.data || !answer || model === null) return null;
    const others = peers.split("\n").map((name) => run.models.indexOf(name));
    return outcomeOf(
      scores.data,
      model,
      others.filter((other) => other >= 0),
    );
  }, [scores.data, answer, model, peers, run]);
  const { atlas, error } = useAtlas();
  const failed = error ?? failedToFind ?? scores.error;
  return (
    <div className="atlas-view">
      <Heading within="of">Atlas</Heading>
      {failed ? (
        <Failed error={failed} />
      ) : !atlas ? (
        <Loading name="the atlas" />
      ) : (
        <AtlasView atlas={atlas} answer={answer} gaps={gaps ?? null} outcome={outcome} />
      )}
    </div>
  );
}

interface AtlasViewProps {
  atlas: AtlasData;
  answer: ListedAnswer | null;
  /** The model's gap on every slice. */
  gaps: Map<number, SliceGap> | null;
  outcome: ArrayLike<number> | null;
}

function AtlasView({ atlas, answer, gaps, outcome }: AtlasViewProps) {
  const { tally, benchmarks, locations } = atlas;
  const { key, regions } = useRun();
  const slices = useSlices(answer ? key : null).data;
  const findings = useMemo(
    () => findingsIn(regions, locations, answer?.findings ?? [], slices ?? new Map()),
    [regions, locations, answer, slices],
  );
  // Gaps are computed over the whole suite only.
  const suite = useBenchmark() === null;
  const known = useMemo(
    () => gapsOf(regions, suite && slices ? slices.values() : [], gaps ?? new Map()),
    [regions, suite, slices, gaps],
  );
  const listed = useMemo(() => new Set(answer?.findings.map(({ slice }) => slice)), [answer]);
  const face = useFace();
  const { params } = useRoute();
  const peers = answer?.kind === "peers";
  const scored = useModel() !== null;
  const offered = (Object.keys(COLOURINGS) as Colouring[]).filter((by) => by !== "outcome" || scored);
  const usual = face === "model" && scored ? "outcome" : "coverage";
  const by = offered.find((colouring) => colouring === params.get("colour")) ?? usual;
  return (
    <>
      <p className="lead" data-testid="atlas-lead">
        A map of what questions are about{benchmarks > 0 && `, built from ${plural(benchmarks, "public benchmark")}`}:
        items that activate the same concepts lie close together. It shows {plural(tally.items, "item")} of this run
        {tally.unlike > 0 && `, ${integer(tally.unlike)} of them unlike anything in the atlas`}. Choose a region to see
        how the model does there.
      </p>
      <div className="tools">
        <Select
          size="xs"
          w={190}
          aria-label="Colour by"
          data-testid="atlas-colour"
          value={by}
          allowDeselect={false}
          data={offered.map((value) => ({ value, label: `Colour: ${COLOURINGS[value]}` }))}
          onChange={(colour) => go({ params: { colour } })}
        />
        {by === "outcome" && !outcome ? (
          <span className="soft">Reading the outcomes …</span>
        ) : (
          <Legend by={by} peers={peers} benchmarks={benchmarks} />
        )}
      </div>
      <div className="atlas-frame">
        <Picture atlas={atlas} peers={peers} gaps={known} listed={listed} outcome={outcome} by={by} />
        <RegionPanel atlas={atlas} peers={peers} gaps={known} findings={findings} outcome={outcome} />
      </div>
    </>
  );
}

function Legend({ by, peers, benchmarks }: { by: Colouring; peers: boolean; benchmarks: number }) {
  const dark = useComputedColorScheme("light") === "dark";
  const scale = diverging(dark);
  const dot = (colour: string, name: string) => (
    <li>
      <span className="legend-dot" style={{ background: `var(--${colour})` }} /> {name}
    </li>
  );
  const ends = peers ? ["fails, peers pass", "passes, peers fail"] : ["fails", "passes"];
  return (
    <ul className="legend" data-testid="atlas-legend">
      {by === "outcome" && (
        <>
          <li>
            <HeatBar low={ends[0]!} stops={[0, 0.25, 0.5, 0.75, 1].map(scale)} high={ends[1]!} />
          </li>
          <li>
            <span>
              Numbers: gap expected on new items, in points; <b className="weak-text">orange</b> or{" "}
              <b className="strong-text">blue</b>: listed in the answer
            </span>
          </li>
        </>
      )}
      {by === "region" && <li>One colour per coarse region; grey: unlike anything in the atlas. Numbers: items</li>}
      {by === "coverage" && (
        <>
          {benchmarks > 0 && <li>Ring: mean share of {plural(benchmarks, "public benchmark")}. Disc: share here</li>}
          {dot("accent", "more than twice as much")}
          {dot("faint", "about as much")}
          {dot("weak", "less than half, or none")}
        </>
      )}
    </ul>
  );
}
