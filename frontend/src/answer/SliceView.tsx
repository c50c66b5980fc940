import { address, go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { pageHas, useModels, useSlices } from "../data/hooks";
import { CONCEPTS, type ListedAnswer, type ListedFinding, type SliceGap } from "../data/types";
import { gapPoints, integer, percent, plural, spread } from "../format";
import { capital, shorten, visible, wholeNumber } from "../text";
import { CopyLink } from "../ui/Copied";
import { Rows, type RowsColumn } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { Sides, Typical } from "./Sides";
import type { Slice } from "./slices";
import { useAnswer } from "./useAnswer";
import "./answer.css";

/** One slice for one model: what was found on it, its items, and the slices inside and beside it. */
export function SliceView() {
  const run = useRun();
  const number = wholeNumber(useRoute().slice) ?? -1;
  const slices = useSlices(run.models.length ? run.key : null);
  const { answer, gaps, error } = useAnswer();
  if (slices.error ?? error) return <Failed error={(slices.error ?? error)!} />;
  const slice = slices.data?.get(number);
  if (slices.data && !slice) return <ConceptOrNone number={number} />;
  if (!slices.data || !slice || !gaps || !answer) return <Loading name="the slice" />;
  return <SliceArticle key={number} slice={slice} slices={slices.data} gaps={gaps} answer={answer} />;
}

/** A concept that no answer names is none of the page's slices, but the page has its panel. */
function ConceptOrNone({ number }: { number: number }) {
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

interface SliceProps {
  slice: Slice;
  slices: Map<number, Slice>;
  /** Of every slice for the model. */
  gaps: Map<number, SliceGap>;
  answer: ListedAnswer;
}

function SliceArticle({ slice, slices, gaps, answer }: SliceProps) {
  const run = useRun();
  const route = useRoute();
  const concept = slice.number >= CONCEPTS ? slice.number - CONCEPTS : null;
  const gap = gaps.get(slice.number)!;
  const children = [...slices.values()].filter(({ parent }) => parent === slice.number);
  const beside = [...slices.values()].filter(
    ({ column, family, number }) =>
      column !== null && column === slice.column && family === slice.family && number !== slice.number,
  );
  const parent = slices.get(slice.parent);
  const finding = answer.findings.find((listed) => listed.slice === slice.number);
  return (
    <article className="answer slice" data-testid="slice">
      <Head slice={slice} gap={gap} answer={answer} />
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
        {concept !== null && pageHas(run, "concept", concept) && (
          <button type="button" className="link" onClick={() => go({ params: { concept } })}>
            See the concept
          </button>
        )}
        {parent && (
          <a href={address(route, { view: "slice", slice: parent.number })}>
            Part of: <bdi>{shorten(visible(parent.name), 80)}</bdi>
          </a>
        )}
        <CopyLink />
      </p>
      <Sides gap={gap} peers={answer.kind === "peers"} concept={concept} />
      <Typical slice={slice} concept={concept} />
      {finding && (
        <section aria-label="Replication">
          <h2>Replication</h2>
          <p data-testid="slice-again">{capital(visible(finding.replication))}.</p>
        </section>
      )}
      <EveryModel slice={slice} />
      <Gaps title="Its parts" slices={children} gaps={gaps} />
      <Gaps title={slice.column ? `Other slices of ${slice.column}` : ""} slices={beside} gaps={gaps} />
    </article>
  );
}

/** Its name, its gap, and what was found on it, where the model's list has it. */
function Head({ slice, gap, answer }: { slice: Slice; gap: SliceGap; answer: ListedAnswer }) {
  const run = useRun();
  const route = useRoute();
  const selected = useModel();
  const { findings } = answer;
  const at = findings.findIndex((finding) => finding.slice === slice.number);
  const to = (finding: ListedFinding | undefined, name: string) =>
    finding && <a href={address(route, { slice: finding.slice })}>{name}</a>;
  const finding = findings[at];
  return (
    <>
      <p className="eyebrow turn">
        <a href={address(route, { view: "answer" })}>
          <bdi>{visible(run.models[selected ?? -1] ?? "")}</bdi>
        </a>
        {finding && (
          <>
            › {finding.number} of {findings.length} {to(findings[at - 1], "← Previous")}{" "}
            {to(findings[at + 1], "Next →")}
          </>
        )}
        <span className="spring" />
        <span className="badge">{visible(slice.family_words)}</span>
      </p>
      <h1 data-testid="slice-name">
        <bdi>{visible(slice.name)}</bdi>
      </h1>
      {gap.gap !== null && (
        <p className="figure" data-testid="slice-gap">
          <strong className={gap.gap < 0 ? "points weak" : "points strong"}>{gapPoints(gap.gap)}</strong> points
          expected on new items ({spread(gap.low, gap.high)}), {finding ? finding.size : plural(gap.items, "item")}
        </p>
      )}
      {finding && (
        <p data-testid="slice-believed">
          {finding.believed}
          {finding.explained && ` ${visible(finding.explained)}`}
        </p>
      )}
      {gap.mean !== null && answer.kind !== "difference" && (
        <p data-testid="slice-score">
          Mean score {percent(gap.mean)} on its {plural(gap.items, "scored item")}.
        </p>
      )}
      {!finding && (
        <p className="soft">
          {gap.reason ? `It has no gap: ${REASONS[gap.reason]}.` : "This slice is not on this model’s list."}
        </p>
      )}
    </>
  );
}

/** Why a slice has no gap. */
const REASONS = {
  "few items": "it has too few scored items",
  "nearly all": "nearly all comparable items are in it",
  unscored: "most of its items are unscored",
};

/** Gaps with their intervals, the lowest first. */
function Gaps({ title, slices, gaps }: { title: string; slices: Slice[]; gaps: Map<number, SliceGap> }) {
  const route = useRoute();
  const rows = slices
    .map(({ number, name }) => ({ ...gaps.get(number)!, name }))
    .sort((a, b) => (a.gap ?? Infinity) - (b.gap ?? Infinity));
  if (rows.length === 0) return null;
  return (
    <section aria-label={title}>
      <h2>{visible(title)}</h2>
      <Rows
        label={title}
        testId="slice-gaps"
        first={20}
        rows={rows}
        columns={[
          {
            name: "slice",
            cell: ({ slice, name }) => (
              <a href={address(route, { view: "slice", slice })}>
                <bdi>{shorten(visible(name), 90)}</bdi>
              </a>
            ),
          },
          ...FIGURES,
        ]}
      />
    </section>
  );
}

const FIGURES: RowsColumn<SliceGap>[] = [
  {
    name: "gap",
    hint: "Expected on new items, in points, against comparable items",
    cell: ({ gap, reason }) => (reason ? <span className="soft">none: {REASONS[reason]}</span> : gapPoints(gap)),
  },
  { name: "interval", cell: ({ gap, low, high }) => (gap === null ? "" : spread(low, high)) },
  { name: "score", hint: "Mean score of its items", cell: ({ mean }) => percent(mean) },
  { name: "items", cell: ({ items }) => integer(items) },
];

/** What it is for every model, where it tells models apart. */
function EveryModel({ slice }: { slice: Slice }) {
  const run = useRun();
  const selected = useModel();
  const route = useRoute();
  const { data } = useModels(run.models.length > 1 ? run.key : null);
  const row = data?.slices.findIndex(([number]) => number === slice.number) ?? -1;
  if (!data || row < 0) return null;
  const rows = data.columns
    .map((model, i) => ({ ...data.cells[row]![i]!, model }))
    .sort((a, b) => (a.gap ?? Infinity) - (b.gap ?? Infinity));
  return (
    <section aria-label="Every model on this slice">
      <h2>Every model on this slice, against its peers</h2>
      <Rows
        label="Gaps of every model"
        testId="slice-models"
        rows={rows}
        current={({ model }) => model === selected}
        columns={[
          {
            name: "model",
            cell: ({ model }) => (
              <a href={address(route, { params: { model: run.models[model]!, against: null } })}>
                <bdi>{shorten(visible(run.models[model]!), 60)}</bdi>
              </a>
            ),
          },
          ...(FIGURES as RowsColumn<(typeof rows)[number]>[]),
        ]}
      />
    </section>
  );
}
