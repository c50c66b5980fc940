import { useMemo } from "react";
import { address, go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { useAnswers, useModels, useSlices, useTable } from "../data/hooks";
import { columnNamed, numbers, type Table } from "../data/table";
import { CONCEPTS, type ListedFinding } from "../data/types";
import { integer, percent, plural, points } from "../format";
import { capital, shorten, visible } from "../text";
import { CopyLink } from "../ui/Copied";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { chosenAnswer } from "./AnswerView";
import { Sides, Typical } from "./Sides";
import { levelOf, type Outcome, outcomeOf, type Slice } from "./slices";
import "./answer.css";

/** One slice for one model: what was found on it, its items, and the slices inside and beside it. */
export function SliceView() {
  const run = useRun();
  const { rest } = useRoute();
  const number = /^\d{1,9}$/.test(rest) ? Number(rest) : -1;
  const slices = useSlices(run.models.length ? run.key : null);
  const scores = useTable(run.models.length ? run.key : null, "scores.parquet");
  const items = useTable(run.key, "items.parquet");
  const error = slices.error ?? scores.error ?? items.error;
  if (error) return <Failed error={error} />;
  if (!slices.data || !scores.data || !items.data) return <Loading what="the slice" />;
  const slice = slices.data.get(number);
  if (!slice) return <Unknown number={number} />;
  return <Shown key={number} slice={slice} slices={slices.data} scores={scores.data} items={items.data} />;
}

/** A concept that no answer names is none of the page's slices, but the page has its panel. */
function Unknown({ number }: { number: number }) {
  const { width } = useRun();
  const concept = number - CONCEPTS;
  if (concept < 0 || concept >= width) return <Failed error={new Error(`There is no slice ${number} in this run.`)} />;
  return (
    <p>
      <button type="button" className="link" onClick={() => go({ view: "concepts", params: { concept } })}>
        Concept {concept}
      </button>
    </p>
  );
}

interface ShownProps {
  slice: Slice;
  slices: Map<number, Slice>;
  scores: Table;
  items: Table;
}

function Shown({ slice, slices, scores, items }: ShownProps) {
  const run = useRun();
  const route = useRoute();
  const place = useModel()!;
  const against = route.params.get("against");
  const other = run.models.indexOf(against ?? "");
  const outcome = useMemo(
    () => outcomeOf(scores, place, other >= 0 && other !== place ? [other] : []),
    [scores, place, other],
  );
  const others = columnNamed(items, "models_mean") ? numbers(items, "models_mean") : null;
  const concept = slice.number >= CONCEPTS ? slice.number - CONCEPTS : null;
  const children = [...slices.values()].filter(({ parent }) => parent === slice.number);
  const beside = [...slices.values()].filter(
    ({ question, family, number }) =>
      question !== null && question === slice.question && family === slice.family && number !== slice.number,
  );
  const parent = slices.get(slice.parent);
  return (
    <article className="answer slice" data-testid="slice">
      <Head slice={slice} />
      <Level slice={slice} outcome={outcome} difference={other >= 0} />
      {slice.words.length > 0 && (
        <p>
          Typical words: <bdi>{slice.words.map(visible).join(", ")}</bdi>.
        </p>
      )}
      <p className="actions">
        <a
          href={address(route, { view: "items", params: { slice: slice.number, benchmark: null } })}
          data-testid="slice-items"
        >
          All {plural(slice.members.length, "item")}
        </a>
        {concept !== null && (
          <button type="button" className="link" onClick={() => go({ params: { concept } })}>
            See the concept
          </button>
        )}
        {parent && (
          <a href={address(route, { view: "slice", rest: parent.number })}>
            Part of: <bdi>{shorten(visible(parent.name), 80)}</bdi>
          </a>
        )}
        <CopyLink />
      </p>
      <Sides
        slice={slice}
        outcome={outcome}
        others={other >= 0 ? null : others}
        clusters={numbers(items, "cluster")}
        concept={concept}
      />
      <Typical slice={slice} concept={concept} />
      <EveryModel slice={slice} />
      <Levels title="Its parts" slices={children} outcome={outcome} difference={other >= 0} />
      <Levels
        title={slice.question ? `Other slices of ${slice.question}` : ""}
        slices={beside}
        outcome={outcome}
        difference={other >= 0}
      />
    </article>
  );
}

/** Its name, and what was found on it, where the model's list has it. */
function Head({ slice }: { slice: Slice }) {
  const run = useRun();
  const route = useRoute();
  const place = useModel();
  const answers = useAnswers(run.key, place);
  const answer = answers.data && chosenAnswer(answers.data, route.params.get("against"));
  const findings = answer?.findings ?? [];
  const at = findings.findIndex((finding) => finding.slice === slice.number);
  const to = (finding: ListedFinding | undefined, name: string) =>
    finding && <a href={address(route, { rest: finding.slice })}>{name}</a>;
  const found = findings[at];
  return (
    <>
      <p className="eyebrow turn">
        <a href={address(route, { view: "answer" })}>
          <bdi>{visible(run.models[place ?? -1] ?? "")}</bdi>
        </a>
        {found && (
          <>
            › {found.number} of {findings.length} {to(findings[at - 1], "← Previous")} {to(findings[at + 1], "Next →")}
          </>
        )}
        <span className="spring" />
        <span className="badge">{visible(slice.family_words)}</span>
      </p>
      <h1 data-testid="slice-name">
        <bdi>{visible(slice.name)}</bdi>
      </h1>
      {found && (
        <>
          <p className="figure" data-testid="slice-gap">
            <strong className={found.gap < 0 ? "points weak" : "points strong"}>{found.points}</strong> points expected
            on new items ({found.spread}), {found.size}
          </p>
          <p data-testid="slice-again">
            {capital(visible(found.again))}.{found.rests_on && ` ${visible(found.rests_on)}`}
          </p>
        </>
      )}
      {answer && !found && <p className="soft">This slice does not stand out: it is not on this model’s list.</p>}
    </>
  );
}

const shown = (value: number, difference: boolean) => (difference ? `${points(value)} points` : percent(value));

/** The plain means, inside and outside. */
function Level({ slice, outcome, difference }: { slice: Slice; outcome: Outcome; difference: boolean }) {
  const level = useMemo(() => levelOf(slice, outcome), [slice, outcome]);
  if (!level) return <p className="soft">Too few of its items have scores.</p>;
  return (
    <p data-testid="slice-level">
      {difference ? "Mean difference" : "Mean score"} {shown(level.inside, difference)} on its{" "}
      {plural(level.items, "scored item")}, {shown(level.outside, difference)} on the others
      <span className="soft"> (plain means, with nothing held equal).</span>
    </p>
  );
}

interface LevelsProps {
  title: string;
  slices: Slice[];
  outcome: Outcome;
  difference: boolean;
}

const SHOWN = 20;

/** Slices with the plain means of their items, the lowest first. */
function Levels({ title, slices, outcome, difference }: LevelsProps) {
  const route = useRoute();
  const rows = useMemo(
    () =>
      slices
        .flatMap((slice) => {
          const level = levelOf(slice, outcome);
          return level ? [{ slice, level }] : [];
        })
        .sort((a, b) => a.level.inside - b.level.inside),
    [slices, outcome],
  );
  if (rows.length === 0) return null;
  const left = rows.length > SHOWN ? rows.length - SHOWN : 0;
  const ends = left ? [...rows.slice(0, SHOWN / 2), ...rows.slice(-SHOWN / 2)] : rows;
  return (
    <section aria-label={title}>
      <h2>{visible(title)}</h2>
      <ol className="levels">
        {ends.map(({ slice, level }) => (
          <li key={slice.number}>
            <a href={address(route, { view: "slice", rest: slice.number })}>
              <bdi>{shorten(visible(slice.name), 90)}</bdi>
            </a>
            <span className="share-bar" aria-hidden="true">
              <span style={{ width: `${100 * Math.max(0, difference ? 0 : level.inside)}%` }} />
            </span>
            <span>{shown(level.inside, difference)}</span>
            <span className="soft">{plural(level.items, "item")}</span>
          </li>
        ))}
      </ol>
      {left > 0 && <p className="soft">The {integer(left)} in the middle are not shown.</p>}
    </section>
  );
}

/** What it is for every model, where it tells models apart. */
function EveryModel({ slice }: { slice: Slice }) {
  const run = useRun();
  const place = useModel();
  const route = useRoute();
  const { data } = useModels(run.models.length > 1 ? run.key : null);
  const row = data?.slices.findIndex(([number]) => number === slice.number) ?? -1;
  if (!data || row < 0) return null;
  const rows = data.columns
    .map((model, i) => ({ model, ...data.cells[row]![i]! }))
    .sort((a, b) => Number(a.gap === null) - Number(b.gap === null) || (a.gap ?? 0) - (b.gap ?? 0));
  return (
    <section aria-label="Every model on this slice">
      <h2>Every model on this slice</h2>
      <Rows
        label="Gaps of every model"
        testId="slice-models"
        rows={rows}
        current={({ model }) => model === place}
        columns={[
          {
            name: "model",
            cell: ({ model }) => (
              <a href={address(route, { params: { model: run.models[model]! } })}>
                <bdi>{shorten(visible(run.models[model]!), 60)}</bdi>
              </a>
            ),
          },
          { name: "points", hint: "Gap against its peers, in points", cell: ({ gap }) => points(gap) },
          { name: "interval", cell: ({ low, high }) => `${points(low)} to ${points(high)}` },
          { name: "items", cell: ({ items }) => integer(items) },
        ]}
      />
    </section>
  );
}
