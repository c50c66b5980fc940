import { Select } from "@mantine/core";
import { useMemo } from "react";
import { go } from "../app/route";
import { useFace, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, numbers, type Table, text, texts } from "../data/table";
import type { BenchmarkSummary } from "../data/types";
import { decimal, integer, magnitude, signed, tenths } from "../format";
import { type Axis, radii } from "../scatter/draw";
import { Scatter } from "../scatter/Scatter";
import { shorten, visible } from "../text";
import { ConceptName } from "../ui/Marks";
import { Empty, Failed, Loading } from "../ui/State";
import { joined, type Measure, type Pair } from "./pair";

const NAMES: Record<Measure, string> = {
  chi_model: "Performance (χ model)",
  chi_bench: "Coverage (χ bench)",
};

/** Performance on each concept in one benchmark against that in another; of coverage, its coverage. */
export function PairView({ x, y }: { x: number; y: number }) {
  const run = useRun();
  const measure = useFace() === "model" ? "chi_model" : "chi_bench";
  const [across, upwards] = [run.benchmarks[x]!.name, run.benchmarks[y]!.name];
  return (
    <section aria-label="Two benchmarks, concept by concept">
      <h2>{NAMES[measure]}, concept by concept</h2>
      <div className="correlation-controls">
        <Pick
          label="Horizontal axis"
          testId="correlation-x"
          place={x}
          other={y}
          onPick={(name) => go({ params: { x: name, y: upwards } })}
        />
        <Pick
          label="Vertical axis"
          testId="correlation-y"
          place={y}
          other={x}
          onPick={(name) => go({ params: { x: across, y: name } })}
        />
      </div>
      <Tables x={x} y={y} measure={measure} />
    </section>
  );
}

interface PickProps {
  label: string;
  testId: string;
  /** Places of the benchmark picked here, and of the one picked for the other side. */
  place: number;
  other: number;
  onPick: (name: string | null) => void;
}

function Pick({ label, testId, place, other, onPick }: PickProps) {
  const { benchmarks } = useRun();
  const options = benchmarks.map((benchmark) => ({ value: benchmark.name, label: visible(benchmark.name) }));
  return (
    <Select
      size="xs"
      w={210}
      label={label}
      data-testid={testId}
      searchable
      allowDeselect={false}
      value={benchmarks[place]!.name}
      data={options.filter((_, i) => i !== other)}
      onChange={onPick}
    />
  );
}

function Tables({ x, y, measure }: { x: number; y: number; measure: Measure }) {
  const run = useRun();
  const concepts = useTable(run.key, "concepts.parquet");
  const first = useTable(run.key, `concepts/${x}.parquet`);
  const second = useTable(run.key, `concepts/${y}.parquet`);
  const error = concepts.error ?? first.error ?? second.error;
  if (error) return <Failed error={error} />;
  if (!concepts.data || !first.data || !second.data) return <Loading what="both benchmarks" />;
  return <Shown x={x} y={y} measure={measure} concepts={concepts.data} first={first.data} second={second.data} />;
}

interface ShownProps {
  x: number;
  y: number;
  measure: Measure;
  concepts: Table;
  first: Table;
  second: Table;
}

function Shown({ x, y, measure, concepts, first, second }: ShownProps) {
  const run = useRun();
  const floor = run.evidence.min_n_eff;
  const pair = useMemo(
    () => joined(concepts, first, second, measure, floor),
    [concepts, first, second, measure, floor],
  );
  const [a, b] = [run.benchmarks[x]!, run.benchmarks[y]!];
  const names = `${visible(a.name)} and ${visible(b.name)}`;
  const points = useMemo(() => {
    const status = texts(concepts, "performance_status");
    const [across, upwards] = [numbers(first, measure), numbers(second, measure)];
    const radius = radii(numbers(concepts, "support"), pair.rows.length);
    const layer = (row: number) => (status[row] === "failure" ? 2 : status[row] === "success" ? 1 : 0);
    return [...pair.rows]
      .sort((a, b) => layer(a) - layer(b))
      .map((id) => ({
        id,
        x: across[id]!,
        y: upwards[id]!,
        radius: radius(id),
        colour: ["faint", "accent", "weak"][layer(id)]!,
        opacity: layer(id) ? 0.9 : 0.5,
      }));
  }, [concepts, first, second, measure, pair]);
  const axes = useMemo(() => ({ x: axis(measure, a), y: axis(measure, b) }), [measure, a, b]);
  return (
    <>
      <Sentence pair={pair} measure={measure} floor={floor} a={a} b={b} />
      {pair.rows.length === 0 ? (
        <Empty>{emptyWords(pair, measure)}</Empty>
      ) : (
        <div className="correlation-place">
          <Scatter
            points={points}
            axes={axes}
            testId="correlation-scatter"
            label={`${NAMES[measure]} of ${integer(pair.rows.length)} concepts in ${names}.`}
            tip={(concept) => (
              <Tip
                concept={concept}
                measure={measure}
                concepts={concepts}
                sides={[
                  [a, first],
                  [b, second],
                ]}
              />
            )}
          />
        </div>
      )}
      <p className="soft correlation-note">
        Orange: goes with failure over the whole suite; blue: with success; grey: neither. The dashed line is where both
        are equal. Click the chart to zoom with the wheel. “Benchmark gaps” at the top shows coverage, “Model gaps”
        performance.
      </p>
    </>
  );
}

function axis(measure: Measure, benchmark: BenchmarkSummary): Axis {
  const title = `${NAMES[measure]} in ${shorten(visible(benchmark.name), 40)}`;
  return measure === "chi_bench" ? { title, log: true, text: (value) => magnitude(value) } : { title, text: decimal };
}

interface SentenceProps {
  pair: Pair;
  measure: Measure;
  floor: number;
  a: BenchmarkSummary;
  b: BenchmarkSummary;
}

function Sentence({ pair, measure, floor, a, b }: SentenceProps) {
  const has = measure === "chi_bench" ? "covered" : "measured";
  const shown =
    measure !== "chi_bench"
      ? ` ${integer(pair.rows.length)} of them have n_eff ≥ ${tenths(floor).replace(/\.0$/, "")} in both and are shown.`
      : "";
  return (
    <p data-testid="correlation-sentence">
      <strong>{integer(pair.inBoth)}</strong> ranked concepts are {has} in both, of {integer(pair.inX)} in{" "}
      <bdi>{visible(a.name)}</bdi> and {integer(pair.inY)} in <bdi>{visible(b.name)}</bdi>.{shown} Rank correlation
      (Spearman; 1: the same order in both) of the {integer(pair.rows.length)} shown:{" "}
      <strong data-testid="correlation-spearman">{signed(Number.isNaN(pair.spearman) ? null : pair.spearman)}</strong>
      {Number.isNaN(pair.spearman) && " (fewer than 3 concepts, or one side is constant)"}.
    </p>
  );
}

function emptyWords(pair: Pair, measure: Measure): string {
  const has = measure === "chi_bench" ? "covered" : "measured";
  if (pair.inBoth === 0) return `No ranked concept is ${has} in both benchmarks. Choose another pair.`;
  return "No concept has enough items in both benchmarks. Choose another pair.";
}

function Tip({
  concept,
  measure,
  concepts,
  sides,
}: {
  concept: number;
  measure: Measure;
  concepts: Table;
  sides: [BenchmarkSummary, Table][];
}) {
  return (
    <>
      <strong>
        <ConceptName concept={concept} label={text(concepts, "label", concept)} />
      </strong>
      <dl>
        {sides.map(([benchmark, table], side) => {
          const of = (key: string) => number(table, key, concept);
          return [
            <dt key={`name${side}`}>
              <bdi>{shorten(visible(benchmark.name), 26)}</bdi>
            </dt>,
            <dd key={`value${side}`}>{measure === "chi_bench" ? magnitude(of(measure)) : decimal(of(measure))}</dd>,
            <dt key={`n${side}`}>n_eff</dt>,
            <dd key={`eff${side}`}>
              {tenths(of("n_eff"))} of {integer(of("support"))} items
            </dd>,
          ];
        })}
      </dl>
    </>
  );
}
