import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { useState } from "react";
import { go } from "../app/route";
import { useRun, useRunList } from "../app/state";
import { inkOn } from "../concepts/heat";
import type { Matrix, ModelsFile } from "../data/types";
import { percent } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { moveCell } from "../ui/cells";
import { diverging } from "../ui/colours";
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
            {points(-most)} or less{" "}
            <span
              className="heat-bar"
              aria-hidden="true"
              style={{
                backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})`,
              }}
            />{" "}
            {points(most)} or more
            <span>Choose a cell to see the model’s concepts of that {grouped ? "group" : "theme"}.</span>
          </p>
          <div
            className="heat-place"
            role="region"
            tabIndex={0}
            aria-label={`Gaps of models by ${grouped ? "group of concepts" : "theme"}`}
          >
            <table className="heat models-heat" data-testid="models-heat" onKeyDown={moveCell}>
              <thead>
                <tr>
                  <th scope="col">
                    <span className="plain">model</span>
                  </th>
                  {columns.map((column) => (
                    <th key={column.id} scope="col" title={columnTitle(column)}>
                      <span>{shorten(columnWords(column), 34)}</span>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {matrix.cells.map((line, i) => (
                  <tr key={matrix.models[i]}>
                    <th scope="row" title={names[i]}>
                      <button
                        type="button"
                        className="link"
                        title={`Profile of ${names[i]}`}
                        onClick={() => go({ params: { model: file.models[matrix.models[i]!]!.name } })}
                      >
                        <bdi>{shorten(names[i]!, 34)}</bdi>
                      </button>
                    </th>
                    {line.map((cell, j) => {
                      const untested = cell.gap === null || cell.status === "insufficient";
                      const words = cellWords([names[i]!, columnWords(columns[j]!)], cell);
                      const passes = cell.status === "weak" || cell.status === "strong";
                      return (
                        <td key={columns[j]!.id}>
                          <button
                            type="button"
                            data-cell={`${i}/${j}`}
                            data-status={cell.status}
                            tabIndex={i === 0 && j === 0 ? 0 : -1}
                            className={untested ? "untested" : passes ? "passes" : undefined}
                            style={untested ? undefined : painted(scale(cell.gap!))}
                            title={words}
                            aria-label={words}
                            onClick={() => open(i, j)}
                          >
                            {untested ? "" : points(cell.gap)}
                          </button>
                        </td>
                      );
                    })}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
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

/** A cell's colour, and ink that can be read on it. */
const painted = (background: string) => ({ background, color: inkOn(background) });
