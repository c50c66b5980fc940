import { Select, useComputedColorScheme } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { everyRow, readSort, sortedBy, writeSort } from "../data/table";
import { type CategoryScores, type ModelsFile, WHOLE } from "../data/types";
import { decimal, integer, percent, plural } from "../format";
import { visible } from "../text";
import { sequential } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";

/** Models against the categories of a column, ordered by their scores on one of them. */
export function Scores({ file: { models, overall, scores } }: { file: ModelsFile }) {
  const run = useRun();
  const { params } = useRoute();
  const dark = useComputedColorScheme("light") === "dark";
  const by = scores.find(({ column }) => column === params.get("by")) ?? scores[0];
  const categories = [overall, ...(by?.categories ?? [])];
  const keys = categories.map(({ slice }) => String(slice ?? "all"));
  const names = categories.map(({ category }) => visible(category ?? "all items"));
  const sort = readSort(params.get("sort"), keys) ?? { key: "all", descending: true };
  const order = byScore(categories[keys.indexOf(sort.key)]!, sort.descending);
  const means = categories.flatMap(({ mean }) => mean.filter((value) => value !== null));
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const colour = sequential(dark);
  const partly = ({ scored, items }: CategoryScores, model: number) =>
    scored[model]! > 0 && scored[model]! < WHOLE * items;
  return (
    <section aria-label="Who scores best">
      <h2>Who scores best</h2>
      <p className="soft">
        Scores as measured, in points of 100: where the hard items lie counts, and peers do not. Choose a category to
        sort by it, a cell to see its items. Outlined: may be the best; no other model surely scores more on the same
        items.
        {categories.some((category) => models.some((_, model) => partly(category, model))) &&
          ` *: scored on less than ${percent(WHOLE)} of the items.`}
      </p>
      {scores.length > 1 && (
        <Select
          size="xs"
          w={260}
          mb="xs"
          aria-label="Scores by"
          data-testid="scores-by"
          allowDeselect={false}
          value={by!.column}
          data={scores.map(({ column }) => ({ value: column, label: `by ${visible(column)}` }))}
          onChange={(column) => go({ params: { by: column, sort: null } })}
        />
      )}
      <p className="heat-scale">
        <HeatBar low={percent(low)} stops={[0, 0.25, 0.5, 0.75, 1].map(colour)} high={percent(high)} />
      </p>
      <HeatTable
        label={`Scores of models by ${by ? visible(by.column) : "all items"}`}
        testId="models-scores"
        className="models-heat"
        corner="model"
        rows={order.map((model) => <ModelLink key={model} model={run.models[model]!} short={models[model]!.short} />)}
        columns={keys.map((key, j) => ({
          name: (
            <button
              type="button"
              onClick={() => {
                const descending = key !== sort.key || !sort.descending;
                go({ params: { sort: writeSort({ key, descending }) } }, true);
              }}
            >
              <bdi>{names[j]}</bdi>
            </button>
          ),
          title: `${names[j]}, ${plural(categories[j]!.items, "item")}`,
          sort: key !== sort.key ? "none" : sort.descending ? "descending" : "ascending",
        }))}
        onChoose={(i, j) => {
          const [model, { slice }] = [run.models[order[i]!]!, categories[j]!];
          go(slice === null ? { view: "answer", params: { model } } : { view: "slice", slice, params: { model } });
        }}
        cell={(i, j) => {
          const [model, category] = [order[i]!, categories[j]!];
          const [mean, best] = [category.mean[model]!, category.may_be_best[model]!];
          const verdict = category.may_be_best.filter(Boolean).length === 1 ? "surely the best" : "may be the best";
          const interval = `${percent(category.low[model])} to ${percent(category.high[model])}`;
          return {
            text: mean === null ? "" : decimal(100 * mean, 0) + (partly(category, model) ? "*" : ""),
            words:
              `${visible(run.models[model]!)}, ${names[j]}: ` +
              (mean === null ? "no score" : `${percent(mean)} (${interval})${best ? `, ${verdict}` : ""}`) +
              `, ${integer(category.scored[model])} of ${plural(category.items, "item")} scored`,
            colour: mean === null ? null : colour((mean - low) / (high - low || 1)),
            className: mean === null ? "untested" : best ? "passes" : undefined,
            status: best ? "best" : "other",
          };
        }}
      />
    </section>
  );
}

/** Places of models by their scores on a category; those without one last. */
export function byScore({ mean }: CategoryScores, descending = true): number[] {
  return [...sortedBy(everyRow(mean.length), [{ values: mean.map((value) => value ?? NaN), descending }])];
}

/** A model's name, which leads to what was found of it. */
export function ModelLink({ model, short }: { model: string; short: string }) {
  return (
    <a href={address(useRoute(), { view: "answer", params: { model } })} title={visible(model)}>
      <bdi>{visible(short)}</bdi>
    </a>
  );
}
