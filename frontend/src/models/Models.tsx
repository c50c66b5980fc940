import { SegmentedControl } from "@mantine/core";
import { headOf } from "../app/family";
import { go, useRoute } from "../app/route";
import { useRun, useRunList } from "../app/state";
import { type Loaded, useGroups, useModels } from "../data/hooks";
import type { GroupsFile, ModelsFile } from "../data/types";
import { decimal, integer, percent, plural } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { MatrixView } from "./Matrix";
import { Pair } from "./Pair";
import { Profile } from "./Profile";
import "../compare/compare.css";
import "../correlation/correlation.css";
import "../overview/overview.css";
import "./models.css";

/** All models that the run has scores of: on which themes each is weak or strong, and two of them side by side. */
export function Models() {
  const run = useRun();
  const { runs } = useRunList();
  const { params } = useRoute();
  const home = headOf(run.key, runs);
  const grouped = params.get("by") === "groups";
  const models = useModels(home);
  const groups = useGroups(grouped ? home : null);
  if (models.error) return <Failed error={models.error} />;
  if (!models.data) return <Loading what="the models" />;
  const file = models.data;
  const reader = visible(run.scored.reader);
  return (
    <div className="correlation models">
      <h1>Models</h1>
      <p className="lead">
        {plural(file.models.length, "model")} on the same {plural(run.items, "item")}. What an item is about is read
        once, by {reader}: its concepts and themes say nothing of what goes on in another model.
      </p>
      <ByColumn file={file} grouped={grouped} matrices={grouped ? groups : { data: file, error: null }} />
      {file.models.length > 1 && <Pair file={file} home={home} />}
      <List file={file} />
    </div>
  );
}

interface Shown {
  file: ModelsFile;
  grouped: boolean;
  matrices: Loaded<Pick<GroupsFile, "matrices">>;
}

/** Models against themes or groups of concepts, and the profile of one of them. */
function ByColumn({ file, grouped, matrices: { data, error } }: Shown) {
  const { params } = useRoute();
  const matrix = data?.matrices.find(({ kind }) => kind === (params.get("kind") ?? "score")) ?? data?.matrices[0];
  const heading = `Models by ${grouped ? "group of concepts" : "theme"}`;
  return (
    <>
      <section aria-label={heading}>
        <h2 className="first">{heading}</h2>
        <div className="correlation-controls">
          <SegmentedControl
            size="xs"
            aria-label="What models are set against"
            data-testid="models-by"
            value={grouped ? "groups" : "themes"}
            data={[
              { value: "themes", label: "Themes" },
              { value: "groups", label: "Groups of concepts" },
            ]}
            onChange={(by) => go({ params: { by: by === "themes" ? null : by } })}
          />
        </div>
        {error && <Failed error={error} />}
        {!data && !error && <Loading what="the groups: the concepts of all models are tested, which takes a while" />}
        {data && !matrix && <Themeless />}
        {matrix && data && <MatrixView file={file} matrix={matrix} matrices={data.matrices} />}
      </section>
      {matrix && matrix.columns.length > 0 && <Profile file={file} matrix={matrix} />}
    </>
  );
}

function Themeless() {
  return (
    <>
      <p>This run has no themes, so models cannot be set against them. This groups the concepts of its dictionary:</p>
      <Copied text="cgaps concepts themes DICTIONARY" />
    </>
  );
}

/** Mean scores, the best first. */
function List({ file }: { file: ModelsFile }) {
  const rows = [...file.models].sort((a, b) => (b.mean ?? -1) - (a.mean ?? -1));
  return (
    <section aria-label="Mean scores">
      <h2>Mean scores</h2>
      <Rows
        label="Table of models"
        testId="models-list"
        rows={rows}
        columns={[
          {
            name: "model",
            cell: (model) => (
              <>
                <bdi>{shorten(visible(model.name), 60)}</bdi>
                {model.reads && <span className="soft"> (reads the items)</span>}
              </>
            ),
          },
          { name: "mean score", cell: (model) => percent(model.mean, 1) },
          {
            name: "interval",
            hint: "95% interval; items that ask the same count once",
            cell: (model) => `${decimal(model.low, 3)} to ${decimal(model.high, 3)}`,
          },
          { name: "scored", cell: (model) => integer(model.scored) },
          { name: "unscored", cell: (model) => integer(model.unscored) },
        ]}
      />
    </section>
  );
}
