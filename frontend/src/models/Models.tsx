import { ActionIcon, Select, useComputedColorScheme } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { byScore, ModelLink } from "../benchmarks/Scores";
import { pageHas, useModels, usePair } from "../data/hooks";
import type { ModelsFile, SliceGap } from "../data/types";
import { gapPoints, integer, plural, points, spread } from "../format";
import { shorten, visible } from "../text";
import { diverging } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";
import { Failed, Loading } from "../ui/State";
import "../answer/answer.css";
import "../compare/compare.css";
import "./models.css";
import { IconArrowsLeftRight } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { PairedAnswer } from "../compare/PairedAnswer";

/** All scored models: a sentence each, the slices that separate them, and two models side by side. */
export function Models() {
  const run = useRun();
  const models = useModels(run.key);
  if (models.error) return <Failed error={models.error} />;
  if (!models.data) return <Loading name="the models" />;
  return (
    <div className="answer models">
      <h1>
        {plural(run.models.length, "model")} on {plural(run.items, "item")}
      </h1>
      <Sentences file={models.data} />
      <Heat file={models.data} />
      {pageHas(run, "pairs", 1) && <Pair />}
    </div>
  );
}

/** A sentence per model, best first, linked to its answer. */
function Sentences({ file }: { file: ModelsFile }) {
  const run = useRun();
  const route = useRoute();
  return (
    <>
      <p className="soft">Where they stand out, each against {beside(file)}, in points expected on new items.</p>
      <ol className="model-list" data-testid="models-list">
        {byScore(file.overall).map((model) => {
          const { sentence, unscored, reads } = file.models[model]!;
          return (
            <li key={model}>
              <a href={address(route, { view: "answer", params: { model: run.models[model]! } })}>
                <bdi>{visible(sentence)}</bdi>
              </a>
              <span className="soft">
                {[
                  reads && "reads the items",
                  unscored > 0.05 * file.overall.scored[model]! && `${integer(unscored)} unscored`,
                ]
                  .filter(Boolean)
                  .join(", ")}
              </span>
            </li>
          );
        })}
      </ol>
    </>
  );
}

const beside = ({ peers }: ModelsFile) => (peers ? "its peers (the nearest in score)" : "its own average");

/** Half the range of the colour scale: the 95th percentile of gaps, at least five points. */
function reachOf(cells: readonly (readonly SliceGap[])[]): number {
  const sizes = cells
    .flat()
    .flatMap(({ gap }) => (gap === null ? [] : [Math.abs(gap)]))
    .sort((a, b) => a - b);
  return Math.max(0.05, sizes[Math.floor(0.95 * (sizes.length - 1))] ?? 0);
}

/** A heat map of slices by models, linked to slices and answers. */
function Heat({ file }: { file: ModelsFile }) {
  const { models: listed, slices, columns, cells } = file;
  const run = useRun();
  const route = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  if (slices.length === 0) return <p className="soft">No slice tells these models apart.</p>;
  const most = reachOf(cells);
  const scale = (value: number) => diverging(dark)((value / most + 1) / 2);
  const names = slices.map(([, name]) => visible(name));
  const models = columns.map((model) => run.models[model]!);
  const words = (i: number, j: number, { gap, low, high, items }: SliceGap) =>
    `${visible(models[j]!)}, ${names[i]}: ` +
    (gap === null ? "no gap" : `${gapPoints(gap)} points (${spread(low, high)}), ${plural(items, "item")}`);
  return (
    <section aria-label="Slices that tell models apart">
      <h2>Slices that tell models apart</h2>
      <p className="soft">
        Gaps, not scores: each model against {beside(file)}, in points expected on new items; a weak model can have the
        highest. Choose a cell to see its items. Outlined: the interval leaves out 0. Hatched: no gap, as it has too few
        scored items.
      </p>
      <p className="heat-scale" data-testid="models-scale">
        <HeatBar
          low={`${points(-most)} or less`}
          stops={[-1, -0.5, 0, 0.5, 1].map((at) => scale(at * most))}
          high={`${points(most)} or more`}
        />
      </p>
      <HeatTable
        label="Gaps of models by slice"
        testId="models-heat"
        className="models-heat"
        corner="slice"
        rows={slices.map(([number], i) => (
          <a key={number} href={address(route, { view: "slice", slice: number })} title={names[i]}>
            <bdi>{shorten(names[i]!, 70)}</bdi>
          </a>
        ))}
        columns={models.map((model, j) => ({
          name: <ModelLink model={model} short={listed[columns[j]!]!.short} />,
          title: visible(model),
        }))}
        onChoose={(i, j) => go({ view: "slice", slice: slices[i]![0], params: { model: models[j]! } })}
        cell={(i, j) => {
          const cell = cells[i]![j]!;
          return {
            text: cell.gap === null ? "" : gapPoints(cell.gap),
            words: words(i, j, cell),
            colour: cell.gap === null ? null : scale(cell.gap),
            className: cell.gap === null ? "untested" : cell.verdict === "typical" ? undefined : "passes",
            status: cell.verdict ?? "none",
          };
        }}
      />
    </section>
  );
}

/** Two models side by side: where one does better or worse than the other. */
export function Pair() {
  const run = useRun();
  const { params } = useRoute();
  const first = run.models.indexOf(params.get("a") ?? "");
  const chosen = useModel()!;
  const a = first >= 0 ? first : chosen;
  const second = run.models.indexOf(params.get("b") ?? "");
  const b = second >= 0 && second !== a ? second : a === 0 ? 1 : 0;
  const asked = params.has("a") || params.has("b");
  const section = useRef<HTMLElement>(null);
  // A link that names two models scrolls to them.
  useEffect(() => {
    if (asked) section.current?.scrollIntoView();
  }, [asked]);
  const picker = (side: "a" | "b", chosen: number, other: number, label: string) => (
    <Select
      size="xs"
      w={260}
      aria-label={label}
      data-testid={`pair-${side}`}
      allowDeselect={false}
      searchable={run.models.length > 8}
      value={run.models[chosen]!}
      data={run.models.map((name, i) => ({ value: name, label: visible(name), disabled: i === other }))}
      onChange={(name) => go({ params: { a: run.models[a]!, b: run.models[b]!, [side]: name } })}
    />
  );
  return (
    <section aria-label="Two models side by side" ref={section}>
      <h2>Two models side by side</h2>
      <div className="compare-runs">
        {picker("a", a, b, "Model")}
        <span>against</span>
        {picker("b", b, a, "Model to compare with")}
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Swap the two models"
          title="Swap the two models"
          onClick={() => go({ params: { a: run.models[b]!, b: run.models[a]! } })}
        >
          <IconArrowsLeftRight size={16} />
        </ActionIcon>
      </div>
      {asked ? <Difference key={`${a}/${b}`} a={a} b={b} /> : <p className="soft">Choose two models.</p>}
    </section>
  );
}

function Difference({ a, b }: { a: number; b: number }) {
  const run = useRun();
  const pair = usePair(run.key, a * run.models.length + b);
  if (pair.error) return <Failed error={pair.error} />;
  return pair.data ? (
    <PairedAnswer pair={pair.data} model={a} against={run.models[b]!} />
  ) : (
    <Loading name="both models" />
  );
}
