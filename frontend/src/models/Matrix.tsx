import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { useState } from "react";
import { go } from "../app/route";
import { useRun, useRunList } from "../app/state";
import type { Matrix, ModelsFile } from "../data/types";
import { percent } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { diverging } from "../ui/colours";
import { HeatBar, HeatTable } from "../ui/Heat";
import { cellWords, columnParams, columnTitle, columnWords, madeRun, makeCommand, reachOf } from "./matrix";
import { points } from "./paired";

const KINDS: Record<Matrix["kind"], { name: string; sentence: string }> = {
  score: {
    name: "Scores",
    sentence:
      "Gap of a column’s items to the same model’s other items. What is hard is hard for most models: a column that " +
      "is orange throughout says more of the items than of any model.",
  },
  peers: {
    name: "Against peers",
    sentence:
      "Gap of a column’s items to the same model’s other items, in its scores less what models of its own level make " +
      "of each item, so that an item’s difficulty is no weakness.",
  },
};

/** Models against themes or groups. A cell leads to the model's concepts if its tables were made, else says how. */
export function MatrixView({ file, matrix, matrices }: { file: ModelsFile; matrix: Matrix; matrices: Matrix[] }) {
  const run = useRun();
  const { runs } = useRunList();
  const dark = useComputedColorScheme("light") === "dark";
  const [missing, setMissing] = useState<number | null>(null);
  const most = reachOf(matrix);
  const scale = (value: number) => diverging(dark)((value / most + 1) / 2);
  const none = matrix.columns.length === 0;
  const stops = [-1, -0.5, 0, 0.5, 1].map((at) => scale(at * most));
  const names = matrix.models.map((model) => visible(file.models[model]!.name));
  const { columns } = matrix;
  const grouped = Boolean(columns[0]?.concepts);
  const open = (i: number, j: number) => {
    const made = madeRun(file.models[matrix.models[i]!]!.name, matrix.kind, run.key, runs);
    if (made === null) return setMissing(matrix.models[i]!);
    go({ run: made.key, view: "concepts", params: columnParams(columns[j]!) });
  };
  return (
    <>
      <div className="correlation-controls">
        <SegmentedControl
          size="xs"
          aria-label="What scores are set against"
          data-testid="models-kind"
          value={matrix.kind}
          data={matrices.map(({ kind }) => ({ value: kind, label: KINDS[kind].name }))}
          onChange={(kind) => {
            setMissing(null);
            go({ params: { kind: kind === "score" ? null : kind } });
          }}
        />
      </div>
      {none ? (
        <p data-testid="models-none">No concept stands out for any model, so there are no groups of concepts.</p>
      ) : (
        <>
          <p className="soft">
            {KINDS[matrix.kind].sentence} In points of 100. Outlined: passes the false-discovery rate of{" "}
            {percent(run.evidence.q)} over{" "}
            {grouped ? "all models and all concepts, of which the groups were chosen" : "all cells"}. Grey: too few
            items to test. Similar models and similar columns stand side by side.
            {grouped && " A group is named after the concept that leads it; the others share its items."}
          </p>
          <p className="heat-scale" data-testid="models-scale">
            <HeatBar low={`${points(-most)} or less`} stops={stops} high={`${points(most)} or more`} />
            <span>Choose a cell to see the model’s concepts of that {grouped ? "group" : "theme"}.</span>
          </p>
          <HeatTable
            label={`Gaps of models by ${grouped ? "group of concepts" : "theme"}`}
            testId="models-heat"
            className="models-heat"
            corner="model"
            rows={names.map((name, i) => (
              <button
                key={name}
                type="button"
                className="link"
                title={`Profile of ${name}`}
                onClick={() => go({ params: { model: file.models[matrix.models[i]!]!.name } })}
              >
                <bdi>{shorten(name, 34)}</bdi>
              </button>
            ))}
            columns={columns.map((column) => ({ name: shorten(columnWords(column), 34), title: columnTitle(column) }))}
            onChoose={open}
            cell={(i, j) => {
              const cell = matrix.cells[i]![j]!;
              const untested = cell.gap === null || cell.status === "insufficient";
              const passes = cell.status === "weak" || cell.status === "strong";
              return {
                text: untested ? "" : points(cell.gap),
                words: cellWords([names[i]!, columnWords(columns[j]!)], cell),
                colour: untested ? null : scale(cell.gap!),
                className: untested ? "untested" : passes ? "passes" : undefined,
                status: cell.status,
              };
            }}
          />
        </>
      )}
      {missing !== null && (
        <div className="notice" role="status" data-testid="models-missing">
          <p>
            The tables of {visible(file.models[missing]!.name)}
            {matrix.kind === "peers" && " against its peers"} were not made yet. This makes them; then open the explorer
            again:
          </p>
          <Copied text={makeCommand(file.models[missing]!.command, matrix.kind)} />
        </div>
      )}
    </>
  );
}
