import { useRun } from "../app/state";
import { useConcept, useTable, useThemes } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { ConceptDetail, Theme } from "../data/types";
import { integer, percent, shownOr, tenths } from "../format";
import { shownToken, visible } from "../text";
import { address, useRoute } from "../app/route";
import { Measured, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { CopyLink } from "../ui/CopyLink";
import { Activation } from "./Activation";
import { Examples } from "./Examples";
import { Exemplars } from "./Exemplars";
import { PerBenchmark } from "./PerBenchmark";
import { Chips, Matched, Related } from "./Related";
import { coverage, flags, verdict } from "./sentences";
import { magnitude, probability, signed } from "../format";
import "./concept.css";

/** All that is known of one concept. */
export function ConceptPanel({ concept }: { concept: number }) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet");
  const detail = useConcept(run, concept);
  const error = table.error ?? detail.error;
  if (error) return <Failed error={error} />;
  if (!table.data) return <Loading what="the concept" />;
  return (
    <article className="concept">
      <Head concept={concept} table={table.data} detail={detail.data} />
      <p className="verdict" data-testid="concept-verdict">{verdict(run, table.data, concept)}</p>
      <p>{coverage(run, table.data, concept)}</p>
      <Numbers concept={concept} table={table.data} />
      {detail.data ? <Rest table={table.data} detail={detail.data} /> : <Loading what="its items" />}
    </article>
  );
}

function Rest({ table, detail }: { table: Table; detail: ConceptDetail }) {
  const run = useRun();
  const probes = run.probes.filter((one) => one.concept === detail.concept);
  return (
    <>
      <PerBenchmark detail={detail} />
      {probes.length > 0 && (
        <section>
          <h3>On fresh items</h3>
          {probes.map((one, i) => <p key={i}>{visible(one.sentence)}</p>)}
        </section>
      )}
      <Examples detail={detail} />
      <Activation detail={detail} />
      <Exemplars detail={detail} />
      <Chips title="Tokens that it promotes" tokens={detail.promoted} absent="Not read from its decoder direction: cgaps exemplars --logits-only does." />
      <Chips title="Tokens that it suppresses" tokens={detail.suppressed} absent={null} />
      <Related title="Similar concepts" hint="Cosine of decoder directions" pairs={detail.similar} table={table} none="Not computed: cgaps exemplars --logits-only does." />
      <Related title="Active in the same items" hint="Jaccard index of the sets of items" pairs={detail.coactive} table={table} none="None shares enough of its items." />
      <Matched detail={detail} />
    </>
  );
}

function Head({ concept, table, detail }: { concept: number; table: Table; detail: ConceptDetail | null }) {
  const label = text(table, "label", concept);
  const peak = text(table, "peak_token", concept);
  const others = detail?.labels.filter((one) => one.label !== label) ?? [];
  return (
    <header>
      <p className="eyebrow">Concept {concept} <ThemePath concept={concept} table={table} /></p>
      <h2 data-testid="concept-title">{label ? <bdi>{visible(label)}</bdi> : <span className="soft">no label{peak && <>, peaks on <bdi>“{shownToken(peak)}”</bdi></>}</span>}</h2>
      <p className="soft provenance">
        {detail?.marks.map((mark) => <span key={mark} className={`badge ${mark}`}>{visible(mark)}</span>)}
        {flags(table, concept).map((flag) => <span key={flag} className="badge">{flag}</span>)}
        {detail?.provenance && <span>{visible(detail.provenance)}</span>}
      </p>
      {others.length > 0 && (
        <details className="others">
          <summary>{others.length === 1 ? "Another label" : `${others.length} other labels`}</summary>
          <ul>
            {others.map((one, i) => (
              <li key={i}>
                <bdi>{visible(one.label)}</bdi>{" "}
                <span className="soft">{[one.kind, one.explainer, one.score !== null && `${one.scored_by ?? "score"} ${one.score.toFixed(2)}`, one.placeholder && "placeholder", one.date].filter(Boolean).map((part) => visible(String(part))).join(", ")}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      <p className="actions">
        <CopyLink />
        {detail?.neuronpedia?.startsWith("https://") && (
          <a href={detail.neuronpedia} target="_blank" rel="noopener noreferrer">Open at {new URL(detail.neuronpedia).host} ↗</a>
        )}
      </p>
    </header>
  );
}

function ThemePath({ concept, table }: { concept: number; table: Table }) {
  const run = useRun();
  const route = useRoute();
  const themes = useThemes(run);
  if (!run.has.themes || !themes.data) return null;
  const path = (["theme", "subtheme"] as const).map((level) => themes.data.themes.find((one) => one.level === level && one.id === number(table, level, concept)));
  return path.filter((one): one is Theme => one !== undefined).map((one) => (
    <span key={one.level}> › <a href={address(route, { view: "concepts", params: { [one.level]: one.id, [one.level === "theme" ? "subtheme" : "theme"]: null } })}><bdi>{one.name ? visible(one.name) : `${one.level} ${one.id}`}</bdi></a></span>
  ));
}

function Numbers({ concept, table }: { concept: number; table: Table }) {
  const at = (key: string) => number(table, key, concept);
  const facts: [string, React.ReactNode][] = [
    ["Verdict", <Status key="v" status={text(table, "performance_status", concept)} />],
    ["χ model", <Measured key="m" kind="decimal" value={at("chi_model")} low={at("chi_model_low")} high={at("chi_model_high")} />],
    ["Gap", <Measured key="g" kind="signed" value={at("gap")} low={at("gap_low")} high={at("gap_high")} />],
    ["q", probability(at("q_value"))],
    ["Support", `${integer(at("support"))} items`],
    ["n eff", tenths(at("n_eff"))],
    ["χ bench", magnitude(at("chi_bench"))],
    ["Coverage", <Status key="c" status={text(table, "coverage_status", concept)} />],
    ["Lift", signed(at("lift"))],
    ["Density", percent(at("density"), 2)],
    ["Benchmarks", integer(at("n_benchmarks"))],
    ["Peak token", shownOr(text(table, "peak_token", concept), shownToken)],
  ];
  return (
    <dl className="numbers" data-testid="concept-numbers">
      {facts.map(([name, shown]) => <div key={name}><dt>{name}</dt><dd>{shown}</dd></div>)}
    </dl>
  );
}
