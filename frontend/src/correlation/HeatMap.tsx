import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { inkOn } from "../concepts/heat";
import { decimal, signed } from "../format";
import { shorten, visible } from "../text";
import { moveCell } from "../ui/cells";
import { diverging, sequential } from "../ui/colours";
import { Square } from "../ui/Square";
import { MATRICES, type Matrix } from "./pair";

const SAID: Record<Matrix, { name: string; sentence: string }> = {
  jaccard: {
    name: "Shared concepts",
    sentence: "Of the concepts that either covers, the share that both cover (Jaccard). 1: the same concepts.",
  },
  cosine: {
    name: "Same weight",
    sentence: "Cosine of coverage, which also weighs how strongly concepts are exercised. 1: the same profile.",
  },
  spearman: {
    name: "Rank correlation",
    sentence:
      "Whether both put concepts in the same order of performance (Spearman), over all concepts with a score in " +
      "both, however few their items; the correlation above covers only the concepts drawn. 1: the same order, " +
      "−1: reversed.",
  },
};

/** More benchmarks than that have no room for numbers in cells. */
const ROOM = 16;

/** Every pair of benchmarks. A cell chooses its pair; arrow keys move from cell to cell. */
export function HeatMap({
  x,
  y,
  matrix,
  onChoose,
}: {
  x: number;
  y: number;
  matrix: string | null;
  onChoose: (x: number, y: number) => void;
}) {
  const run = useRun();
  const dark = useComputedColorScheme("light") === "dark";
  const shown = MATRICES.find((option) => option === matrix) ?? "jaccard";
  const values = run.overlap[shown];
  const roomy = run.benchmarks.length <= ROOM;
  const scale = shown === "spearman" ? (value: number) => diverging(dark)((value + 1) / 2) : sequential(dark);
  const [from, low] = shown === "spearman" ? [-1, "−1"] : [0, "0"];
  const written = shown === "spearman" ? signed : decimal;
  const stops = [0, 0.25, 0.5, 0.75, 1].map((at) => scale(from + (1 - from) * at));
  const names = run.benchmarks.map((benchmark) => shorten(visible(benchmark.name), 28));
  const cell = (i: number, j: number) => {
    if (i === j) return <span className="heat-self" aria-hidden="true" />;
    const value = values[i]![j]!;
    const chosen = i === y && j === x;
    const title = `${names[j]} and ${names[i]}: ${written(value)}`;
    return (
      <button
        type="button"
        data-cell={`${i}/${j}`}
        tabIndex={chosen ? 0 : -1}
        aria-current={chosen ? "true" : undefined}
        className={chosen ? "chosen-cell" : undefined}
        style={value === null ? undefined : painted(scale(value))}
        aria-label={title}
        title={title}
        onClick={() => onChoose(j, i)}
      >
        {roomy ? (value === null ? "N/A" : short(written(value))) : ""}
      </button>
    );
  };
  return (
    <section aria-label="Overlap of benchmarks">
      <h2>Overlap of the benchmarks</h2>
      <div className="correlation-controls">
        <SegmentedControl
          size="xs"
          aria-label="Measure of overlap"
          data-testid="correlation-matrix"
          value={shown}
          data={MATRICES.map((value) => ({ value, label: SAID[value].name }))}
          onChange={(chosen) => go({ params: { matrix: chosen === "jaccard" ? null : chosen } })}
        />
      </div>
      <p className="soft">{SAID[shown].sentence} Choose a cell to see the pair above.</p>
      <p className="heat-scale" data-testid="heat-scale">
        {low}{" "}
        <span
          className="heat-bar"
          aria-hidden="true"
          style={{
            backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})`,
          }}
        />{" "}
        1
        <span>
          {names.length > 1 && "Hatched: a benchmark with itself."}
          {values.some((line, i) => line.some((value, j) => i !== j && value === null)) &&
            ` ${roomy ? "N/A" : "Empty"}: not defined.`}
        </span>
      </p>
      <div className="heat-place" role="region" tabIndex={0} aria-label={`${SAID[shown].name} of each pair`}>
        <Square
          className={roomy ? "heat" : "heat small"}
          data-testid="correlation-heat"
          onKeyDown={moveCell}
          names={names}
          cell={cell}
        />
      </div>
    </section>
  );
}

/** `.28` for `0.28`; what rounds to 0 has no sign. */
const short = (text: string) => text.replace(/^[+−](?=0\.00$)/, "").replace(/^([+−]?)0\./, "$1.");

/** A cell's colour, and ink that can be read on it. */
const painted = (background: string) => ({ background, color: inkOn(background) });
