import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { decimal, signed } from "../format";
import { shorten, visible } from "../text";
import { diverging, sequential } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";
import { MATRICES, type Matrix } from "./pair";

const SAID: Record<Matrix, { name: string; sentence: string }> = {
  jaccard: {
    name: "Shared concepts",
    sentence: "Share of the concepts covered by either that both cover (Jaccard). 1: the same concepts.",
  },
  cosine: {
    name: "Same weight",
    sentence: "Cosine of coverage, which also counts how strongly concepts are active. 1: the same profile.",
  },
  spearman: {
    name: "Rank correlation",
    sentence:
      "Whether both rank concepts by performance in the same order (Spearman), over all concepts with a score in " +
      "both, however few their items; the correlation above covers only the concepts plotted. 1: the same order, " +
      "−1: reversed.",
  },
};

/** More benchmarks than that have no room for numbers in cells. */
const ROOM = 16;

interface HeatMapProps {
  x: number;
  y: number;
  matrix: string | null;
  onChoose: (x: number, y: number) => void;
}

/** Every pair of benchmarks. A cell chooses its pair. */
export function HeatMap({ x, y, matrix, onChoose }: HeatMapProps) {
  const run = useRun();
  const dark = useComputedColorScheme("light") === "dark";
  const shown = MATRICES.find((option) => option === matrix) ?? "jaccard";
  const values = run.overlap[shown];
  const roomy = run.benchmarks.length <= ROOM;
  const ranks = shown === "spearman";
  const scale = ranks ? (value: number) => diverging(dark)((value + 1) / 2) : sequential(dark);
  const from = ranks ? -1 : 0;
  const written = ranks ? signed : decimal;
  const names = run.benchmarks.map((benchmark) => shorten(visible(benchmark.name), 28));
  const undefinedSome = values.some((line, i) => line.some((value, j) => i !== j && value === null));
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
      <p className="heat-scale">
        <HeatBar
          low={ranks ? "−1" : "0"}
          stops={[0, 0.25, 0.5, 0.75, 1].map((at) => scale(from + (1 - from) * at))}
          high="1"
        />
        <span>Hatched: a benchmark with itself.{undefinedSome && ` ${roomy ? "N/A" : "Empty"}: not defined.`}</span>
      </p>
      <HeatTable
        label={`${SAID[shown].name} of each pair`}
        testId="correlation-heat"
        className={roomy ? "" : "small"}
        rows={names}
        columns={names.map((name) => ({ name }))}
        onChoose={(i, j) => onChoose(j, i)}
        cell={(i, j) => {
          if (i === j) return null;
          const value = values[i]![j]!;
          const text = value === null ? "N/A" : short(written(value));
          return {
            text: roomy ? text : "",
            words: `${names[j]} and ${names[i]}: ${written(value)}`,
            colour: value === null ? null : scale(value),
            current: i === y && j === x,
          };
        }}
      />
    </section>
  );
}

/** `.28` for `0.28`; what rounds to 0 has no sign. */
const short = (text: string) => text.replace(/^[+−](?=0\.00$)/, "").replace(/^([+−]?)0\./, "$1.");
