import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useBenchmarkParam, useRun } from "../app/state";
import { decimal, plural, signed } from "../format";
import { shorten, visible } from "../text";
import { diverging, sequential } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";

const MEASURES = [
  {
    value: "jaccard",
    label: "Shared concepts",
    sentence: "Of the concepts that either benchmark covers, the share that both cover (Jaccard).",
  },
  {
    value: "cosine",
    label: "Coverage",
    sentence: "Cosine of coverage, which also counts how strongly concepts are active.",
  },
  {
    value: "spearman",
    label: "Performance",
    sentence: "Rank correlation (Spearman) of the model’s performance over concepts that both measure.",
  },
] as const;

/** Cells have room for numbers up to this many benchmarks. */
const MAX_WRITTEN = 16;

/** How far each pair of benchmarks tests the same concepts, and whether the model does equally well on them. */
export function Overlap() {
  const { benchmarks, overlap } = useRun();
  const { params } = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  const [x, y] = [useBenchmarkParam("x"), useBenchmarkParam("y")];
  const {
    value: measure,
    label,
    sentence,
  } = MEASURES.find(({ value }) => value === params.get("measure")) ?? MEASURES[0];
  const names = benchmarks.map(({ name }) => shorten(visible(name), 28));
  const ranks = measure === "spearman";
  const colour = ranks ? (value: number) => diverging(dark)((value + 1) / 2) : sequential(dark);
  const low = ranks ? -1 : 0;
  const write = ranks ? signed : decimal;
  return (
    <section aria-label="Overlap of benchmarks">
      <h2>How alike the benchmarks are</h2>
      <SegmentedControl
        size="xs"
        aria-label="Measure of overlap"
        data-testid="overlap-measure"
        value={measure}
        data={[...MEASURES]}
        onChange={(chosen) => go({ params: { measure: chosen } })}
      />
      <p className="soft">{sentence} Choose a cell to see all three.</p>
      <p className="heat-scale">
        <HeatBar
          low={String(low).replace("-", "−")}
          stops={[0, 0.25, 0.5, 0.75, 1].map((share) => colour(low + (1 - low) * share))}
          high="1"
        />
      </p>
      <HeatTable
        label={`${label} of each pair of benchmarks`}
        testId="overlap"
        className={benchmarks.length > MAX_WRITTEN ? "small" : ""}
        rows={names}
        columns={names.map((name) => ({ name }))}
        onChoose={(i, j) => go({ params: { x: benchmarks[j]!.name, y: benchmarks[i]!.name } })}
        cell={(i, j) => {
          if (i === j) return null;
          const value = overlap[measure][i]![j]!;
          return {
            text: benchmarks.length > MAX_WRITTEN ? "" : write(value),
            words: `${names[j]} and ${names[i]}: ${write(value)}`,
            colour: value === null ? null : colour(value),
            current: i === y && j === x,
          };
        }}
      />
      {x !== null && y !== null && x !== y && (
        <p data-testid="overlap-pair">
          <bdi>{visible(benchmarks[x]!.name)}</bdi> and <bdi>{visible(benchmarks[y]!.name)}</bdi>: shared concepts{" "}
          {decimal(overlap.jaccard[y]![x])}, coverage {decimal(overlap.cosine[y]![x])}, performance{" "}
          {signed(overlap.spearman[y]![x])} over {plural(overlap.n_concepts[y]![x]!, "concept")} that both measure.
        </p>
      )}
    </section>
  );
}
