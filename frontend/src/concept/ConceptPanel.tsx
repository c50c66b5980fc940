import { useAnswer } from "../answer/useAnswer";
import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { pathOf } from "../atlas/regions";
import { kindOf } from "../concepts/table";
import { useConceptTable } from "../concepts/useConceptTable";
import { useConcept, useTable } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import { CONCEPTS, type ConceptDetail } from "../data/types";
import {
  decimal,
  gapPoints,
  integer,
  magnitude,
  percent,
  plural,
  points,
  probability,
  shownOr,
  signed,
  spread,
  tenths,
} from "../format";
import { shownToken, visible } from "../text";
import { CopyLink } from "../ui/Copied";
import { Facts } from "../ui/Facts";
import { ConceptLink, LabelName, Measured, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { Activation } from "./Activation";
import { Examples, Exemplars } from "./Examples";
import { PerBenchmark } from "./PerBenchmark";
import { about, coverage, verdict, verdictWithin } from "./sentences";
import "./concept.css";

/** All that is known of one concept: within the benchmark that the page is set to, then over the whole suite. */
export function ConceptPanel({ concept }: { concept: number }) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet");
  const benchmark = useBenchmark();
  const inBenchmark = useConceptTable(run, benchmark);
  const detail = useConcept(run, concept);
  const error = table.error ?? inBenchmark.error ?? detail.error;
  if (error) return <Failed error={error} />;
  if (!table.data || !inBenchmark.shown) return <Loading name="the concept" />;
  // While another benchmark is read, the figures are still those of the one before, and say so.
  const shownBenchmark = inBenchmark.shown.benchmark;
  const name = shownBenchmark === null ? null : visible(run.benchmarks[shownBenchmark]!.name);
  const suite = `Over all ${plural(run.benchmarks.length, "benchmark")}`;
  const within = name === null ? null : verdictWithin(run, inBenchmark.shown.table, concept, name);
  const sentence = verdict(run, table.data, concept);
  return (
    <article className="concept">
      <Head concept={concept} table={table.data} detail={detail.data} />
      <p className="verdict" data-testid="concept-verdict">
        {within ?? sentence}
      </p>
      {within !== null && <p data-testid="concept-suite">{about(suite, sentence)}</p>}
      <SliceOf concept={concept} />
      <p>{name === null ? coverage(run, table.data, concept) : about(suite, coverage(run, table.data, concept))}</p>
      {name !== null && (
        <p className="numbers-of" data-testid="numbers-of">
          In <bdi>{name}</bdi>{" "}
          <span className="soft">(density, number of benchmarks and peak token do not depend on the benchmark)</span>
        </p>
      )}
      <Numbers concept={concept} table={inBenchmark.shown.table} />
      {detail.data ? <MoreAbout table={table.data} detail={detail.data} /> : <Loading name="its items" />}
    </article>
  );
}

/** The gap of the items where it is strongest, where these are a slice. */
function SliceOf({ concept }: { concept: number }) {
  const route = useRoute();
  const { answer, gaps } = useAnswer();
  const gap = gaps?.get(CONCEPTS + concept);
  if (!gap || !answer) return null;
  const slice = <a href={address(route, { view: "slice", slice: gap.slice })}>the items where it is strongest</a>;
  if (gap.gap === null)
    return (
      <p data-testid="concept-slice">
        As a slice, {slice} have no gap: {gap.reason}.
      </p>
    );
  const beside = { peers: "its peers", difference: answer.against[0], score: null, parsed: null }[answer.kind];
  return (
    <p data-testid="concept-slice">
      As a slice, {slice} have a gap of <strong>{gapPoints(gap.gap)}</strong> points ({spread(gap.low, gap.high)}),
      expected on new items, against {visible(beside ?? "its own average")}.
    </p>
  );
}

const UNREAD = "Not computed yet: cgaps concepts exemplars --logits-only computes them.";

function MoreAbout({ table, detail }: { table: Table; detail: ConceptDetail }) {
  return (
    <>
      <PerBenchmark detail={detail} />
      <Examples detail={detail} />
      <Activation detail={detail} />
      <Exemplars detail={detail} />
      <Chips
        title="Tokens it promotes"
        tokens={detail.promoted}
        absent={detail.promoted ? "None known for this concept." : UNREAD}
      />
      <Chips title="Tokens it suppresses" tokens={detail.suppressed} absent={null} />
      <Related
        title="Similar concepts"
        hint="Cosine of decoder directions"
        pairs={detail.similar}
        table={table}
        none={detail.similar ? "None." : UNREAD}
      />
    </>
  );
}

function Head({ concept, table, detail }: { concept: number; table: Table; detail: ConceptDetail | null }) {
  const label = text(table, "label", concept);
  const others = detail?.labels.filter((conceptLabel) => conceptLabel.label !== label) ?? [];
  return (
    <header>
      <p className="eyebrow">
        Concept {concept} <RegionPath concept={concept} table={table} />
      </p>
      <h2 data-testid="concept-title">
        <LabelName label={label} token={text(table, "peak_token", concept)} limit={Infinity} />
      </h2>
      <p className="soft provenance">
        {detail?.marks.map((mark) => (
          <span key={mark} className={`badge ${mark}`}>
            {visible(mark)}
          </span>
        ))}
        {kindOf(table, concept) && <span className="badge">{kindOf(table, concept)}</span>}
        {detail?.provenance && <span>{visible(detail.provenance)}</span>}
      </p>
      {others.length > 0 && (
        <details className="others">
          <summary>{others.length === 1 ? "Another label" : `${others.length} other labels`}</summary>
          <ul>
            {others.map((other, i) => (
              <li key={i}>
                <bdi>{visible(other.label)}</bdi> <span className="soft">{visible(origin(other))}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      <p className="actions">
        <CopyLink />
        {detail?.neuronpedia?.startsWith("https://") && (
          <a href={detail.neuronpedia} target="_blank" rel="noopener noreferrer">
            Open at {new URL(detail.neuronpedia).host} ↗
          </a>
        )}
      </p>
    </header>
  );
}

/** Where another label comes from. */
function origin(label: ConceptDetail["labels"][number]): string {
  const score = label.score === null ? null : `${label.scored_by ?? "score"} ${decimal(label.score)}`;
  return [label.kind, label.explainer, score, label.placeholder ? "placeholder" : null, label.date]
    .filter((part) => part !== null)
    .join(", ");
}

/** The regions of the atlas in which it hangs. */
function RegionPath({ concept, table }: { concept: number; table: Table }) {
  const { regions } = useRun();
  const route = useRoute();
  return pathOf(regions, number(table, "region", concept)).map(({ region, name }) => (
    <span key={region}>
      {" "}
      ›{" "}
      <a href={address(route, { view: "atlas", params: { region } })}>
        <bdi>{visible(name)}</bdi>
      </a>
    </span>
  ));
}

function Numbers({ concept, table }: { concept: number; table: Table }) {
  const run = useRun();
  const hints = new Map(run.columns.map((spec) => [spec.key, spec.hint]));
  const at = (key: string) => number(table, key, concept);
  const facts: [string, string, React.ReactNode][] = [
    ["performance_status", "Verdict", <Status key="v" status={text(table, "performance_status", concept)} />],
    [
      "chi_model",
      "χ model",
      <Measured key="m" kind="decimal" value={at("chi_model")} low={at("chi_model_low")} high={at("chi_model_high")} />,
    ],
    [
      "association",
      "Association",
      <Measured
        key="a"
        kind="points"
        value={at("association")}
        low={at("association_low")}
        high={at("association_high")}
      />,
    ],
    ["plain_association", "Plain association", points(at("plain_association"))],
    ["q_value", "q", probability(at("q_value"))],
    ["support", "Support", plural(at("support") ?? 0, "item")],
    ["n_eff", "n_eff", tenths(at("n_eff"))],
    ["chi_bench", "χ bench", magnitude(at("chi_bench"))],
    ["coverage_status", "Coverage", <Status key="c" status={text(table, "coverage_status", concept)} />],
    ["lift", "Lift", signed(at("lift"))],
    ["density", "Density", percent(at("density"), 2)],
    ["n_benchmarks", "Benchmarks", integer(at("n_benchmarks"))],
    ["peak_token", "Peak token", shownOr(text(table, "peak_token", concept), shownToken)],
  ];
  return (
    <Facts
      testId="concept-numbers"
      facts={facts.map(([key, name, shown]) => ({ key, name, shown, hint: hints.get(key) }))}
    />
  );
}

interface RelatedProps {
  title: string;
  hint: string;
  pairs: [number, number][] | null;
  table: Table;
  none: string;
}

export function Related({ title, hint, pairs, table, none }: RelatedProps) {
  return (
    <section>
      <h3>{title}</h3>
      {!pairs?.length ? (
        <p className="soft">{none}</p>
      ) : (
        <ul className="related" aria-label={title}>
          {pairs.map(([concept, size]) => (
            <li key={concept}>
              <span className="soft" title={hint}>
                {decimal(size)}
              </span>
              <ConceptLink concept={concept} label={text(table, "label", concept)} />
              <Status status={text(table, "performance_status", concept)} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function Chips({ title, tokens, absent }: { title: string; tokens: string[] | null; absent: string | null }) {
  if (!tokens?.length)
    return absent ? (
      <section>
        <h3>{title}</h3>
        <p className="soft">{absent}</p>
      </section>
    ) : null;
  return (
    <section>
      <h3>{title}</h3>
      <ul className="token-chips">
        {tokens.map((token, i) => (
          <li key={i}>
            <bdi>{shownToken(token)}</bdi>
          </li>
        ))}
      </ul>
    </section>
  );
}
