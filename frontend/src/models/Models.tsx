import { useComputedColorScheme } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { holds, useModels } from "../data/hooks";
import type { ModelsFile, SliceGap } from "../data/types";
import { gapPoints, integer, percent, plural, points, spread } from "../format";
import { shorten, visible } from "../text";
import { diverging } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";
import { Failed, Loading } from "../ui/State";
import { Pair } from "./Pair";
import "../answer/answer.css";
import "../compare/compare.css";
import "../correlation/correlation.css";
import "./models.css";

/** All models that the run has scores of: a sentence each, the slices that tell them apart, and two side by side. */
export function Models() {
  const run = useRun();
  const models = useModels(run.key);
  if (models.error) return <Failed error={models.error} />;
  if (!models.data) return <Loading what="the models" />;
  return (
    <div className="answer models">
      <h1>
        {plural(run.models.length, "model")} on {plural(run.items, "item")}
      </h1>
      <Sentences file={models.data} />
      <Heat file={models.data} />
      {holds(run, "pairs", 1) && <Pair />}
    </div>
  );
}

/** A sentence per model, the best first; it leads to the model's list. */
function Sentences({ file }: { file: ModelsFile }) {
  const run = useRun();
  const route = useRoute();
  const order = file.models
    .map((model, place) => ({ ...model, place }))
    .sort((a, b) => (b.mean ?? -1) - (a.mean ?? -1));
  return (
    <ol className="model-list" data-testid="models-list">
      {order.map(({ place, sentence, low, high, scored, unscored, reads }) => (
        <li key={place}>
          <a href={address(route, { view: "answer", params: { model: run.models[place]! } })}>
            <bdi>{visible(sentence)}</bdi>
          </a>
          <span
            className="soft"
            title={`Mean score ${percent(low, 1)} to ${percent(high, 1)} (95%) on ${plural(scored, "item")}`}
          >
            {[reads && "reads the items", unscored > 0.05 * scored && `${integer(unscored)} unscored`]
              .filter(Boolean)
              .join(", ")}
          </span>
        </li>
      ))}
    </ol>
  );
}

/** Half of the colours' scale: nearly all gaps lie within; at least five points. */
function reachOf(cells: readonly (readonly SliceGap[])[]): number {
  const sizes = cells
    .flat()
    .flatMap(({ gap }) => (gap === null ? [] : [Math.abs(gap)]))
    .sort((a, b) => a - b);
  return Math.max(0.05, sizes[Math.floor(0.95 * (sizes.length - 1))] ?? 0);
}

/** Slices against models. A cell leads to the slice of that model, a name of either to all of it. */
function Heat({ file: { models: listed, slices, columns, cells } }: { file: ModelsFile }) {
  const run = useRun();
  const route = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  if (slices.length === 0) return <p className="soft">No slice tells these models apart.</p>;
  const most = reachOf(cells);
  const scale = (value: number) => diverging(dark)((value / most + 1) / 2);
  const names = slices.map(([, name]) => visible(name));
  const models = columns.map((place) => run.models[place]!);
  const words = (i: number, j: number, { gap, low, high, items }: SliceGap) =>
    `${visible(models[j]!)}, ${names[i]}: ` +
    (gap === null ? "no gap" : `${gapPoints(gap)} points (${spread(low, high)}), ${plural(items, "item")}`);
  return (
    <section aria-label="Slices that tell the models apart">
      <h2>What tells them apart</h2>
      <p className="soft">
        Each model’s gap against its peers (the nearest in score), in points expected on new items; choose a cell to see
        its items. Outlined: the interval leaves out 0. Hatched: no gap, as it has too few scored items.
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
          <a key={number} href={address(route, { view: "slice", rest: number })} title={names[i]}>
            <bdi>{shorten(names[i]!, 70)}</bdi>
          </a>
        ))}
        columns={models.map((model, j) => ({
          name: (
            <a href={address(route, { view: "answer", params: { model } })}>
              <bdi>{visible(listed[columns[j]!]!.short)}</bdi>
            </a>
          ),
          title: visible(model),
        }))}
        onChoose={(i, j) => go({ view: "slice", rest: slices[i]![0], params: { model: models[j]! } })}
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
