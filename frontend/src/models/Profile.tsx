import { Select } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useRun, useRunList } from "../app/state";
import type { Scale } from "../concepts/bar";
import { IntervalBar } from "../concepts/IntervalBar";
import type { Matrix, ModelsFile } from "../data/types";
import { probability, tenths } from "../format";
import { shorten, visible } from "../text";
import { Status } from "../ui/Marks";
import { columnParams, columnTitle, columnWords, madeRun, profileOf } from "./matrix";
import { points } from "./paired";

/** One model's themes or groups, the weakest first. */
export function Profile({ file, matrix }: { file: ModelsFile; matrix: Matrix }) {
  const run = useRun();
  const { runs } = useRunList();
  const { params } = useRoute();
  const asked = file.models.findIndex((model) => model.name === (params.get("model") ?? run.scored.model));
  const model = matrix.models.includes(asked) ? asked : matrix.models[0]!;
  const name = file.models[model]!.name;
  const rows = profileOf(matrix, model) ?? [];
  const made = madeRun(name, matrix.kind, run.key, runs);
  const most = Math.max(
    0.01,
    ...rows.flatMap(({ cell }) => [cell.gap, cell.gap_low, cell.gap_high].map((end) => Math.abs(end ?? 0))),
  );
  const scale: Scale = { from: -most, to: most, neutral: 0 };
  return (
    <section aria-label="Profile of one model">
      <h2>Profile of one model</h2>
      <div className="correlation-controls">
        <Select
          size="xs"
          w={280}
          aria-label="Model of the profile"
          title="Model of the profile"
          data-testid="profile-model"
          allowDeselect={false}
          searchable={file.models.length > 8}
          value={name}
          data={matrix.models.map((place) => {
            const { name } = file.models[place]!;
            return { value: name, label: visible(name) };
          })}
          onChange={(model) => go({ params: { model } })}
        />
      </div>
      <p className="soft">
        Gap of each {matrix.columns[0]?.concepts ? "group" : "theme"}’s items
        {matrix.kind === "peers" && ", against the model’s peers,"} with its interval, in points of 100, the lowest
        first.
      </p>
      <ol className="theme-bars" data-testid="profile">
        {rows.map(({ column, cell }) => (
          <li key={column.id} data-status={cell.status}>
            {made === null ? (
              <bdi title={columnTitle(column)}>{shorten(columnWords(column), 80)}</bdi>
            ) : (
              <button
                type="button"
                className="link"
                title={columnTitle(column)}
                onClick={() => go({ run: made.key, view: "concepts", params: columnParams(column) })}
              >
                <bdi>{shorten(columnWords(column), 80)}</bdi>
              </button>
            )}
            <IntervalBar scale={scale} at={cell.gap} low={cell.gap_low} high={cell.gap_high} status={cell.status} />
            <span className={cell.status === "weak" ? "weak-text" : undefined}>
              {points(cell.gap)}
              <span className="unseen">
                {" "}
                [{points(cell.gap_low)}, {points(cell.gap_high)}]
              </span>
            </span>
            <span className="soft">
              <Status status={cell.status} /> q {probability(cell.q_value)}, n_eff {tenths(cell.n_eff)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
