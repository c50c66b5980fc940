import { Alert, Anchor } from "@mantine/core";
import { address, linked, useRoute } from "../app/route";
import { type Face, useBenchmark, useFace, useRun } from "../app/state";
import { useTable, useThemes } from "../data/hooks";
import type { Finding } from "../data/types";
import { integer, plural } from "../format";
import { visible } from "../text";
import { Verdicts } from "../card/Verdicts";
import { Failed, Loading } from "../ui/State";
import { BenchmarkCharts, Charts } from "./Charts";
import { benchmarkFindings } from "./ofBenchmark";
import { ThemeList } from "./ThemeList";
import "./overview.css";

/** The run in sentences, numbers first; then how far to trust them; then the charts. */
export function Overview() {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  return (
    <div className="overview">
      <p className="eyebrow">
        {visible(run.model)} · {integer(run.items)} items · {integer(run.benchmarks.length)} benchmark{run.benchmarks.length === 1 ? "" : "s"} · {integer(run.width)} concepts
      </p>
      <h1 className="question">{visible(run.questions[face])}</h1>
      {run.cautions.filter((one) => one.tone === "bad").map((one) => (
        <Alert key={one.text} color="orange" mb="sm" className="caution">{visible(one.text)}</Alert>
      ))}
      {benchmark !== null && <OfBenchmark place={benchmark} />}
      {benchmark !== null && <h2 data-testid="of-suite">All {plural(run.benchmarks.length, "benchmark")}</h2>}
      <ul className="findings" data-testid="findings">
        {ordered(run.findings, face).map((finding) => <Line key={finding.number + finding.sentence} finding={finding} />)}
      </ul>
      <Trust />
      <Themes />
      <Figures />
    </div>
  );
}

/** What is found in the benchmark that the page is set to, and its distributions. */
function OfBenchmark({ place }: { place: number }) {
  const run = useRun();
  const face = useFace();
  const one = run.benchmarks[place]!;
  return (
    <section data-testid="benchmark-findings">
      <h2>In <bdi>{visible(one.name)}</bdi></h2>
      <ul className="findings">
        {benchmarkFindings(one, place, face).map((finding) => <Line key={finding.sentence} finding={finding} />)}
      </ul>
      <BenchmarkCharts place={place} />
    </section>
  );
}

/** What the chosen question is about comes first. */
function ordered(findings: Finding[], face: Face): Finding[] {
  const performance = (one: Finding) => one.tone !== "" || one.link?.startsWith("items") === true;
  const first = findings.filter((one) => performance(one) === (face === "model"));
  return [...first, ...findings.filter((one) => !first.includes(one))];
}

function Line({ finding }: { finding: Finding }) {
  const route = useRoute();
  return (
    <li className={finding.tone}>
      <span className="figure-number">{visible(finding.number)}</span>
      <span>
        <bdi>{visible(finding.sentence)}</bdi>{" "}
        {finding.link && <Anchor className="go" href={address(route, linked(finding.link))}>Show</Anchor>}
      </span>
    </li>
  );
}

function Trust() {
  const run = useRun();
  const route = useRoute();
  const open = run.cautions.filter((one) => one.tone === "open");
  return (
    <section>
      <h2>How far to trust this</h2>
      {run.verdicts ? <Verdicts verdicts={run.verdicts} /> : (
        <p>
          Whether the findings hold when items are left out has not been tested for this run.{" "}
          <Anchor href={address(route, { view: "suggestions" })}>The command is under Suggestions.</Anchor>
        </p>
      )}
      {open.map((one) => <p key={one.text} className="soft">{visible(one.text)}</p>)}
      <p><Anchor href={address(route, { view: "card" })}>Run card, settings and warnings</Anchor></p>
    </section>
  );
}

function Themes() {
  const run = useRun();
  const themes = useThemes(run);
  if (!run.has.themes || themes.error) return null;
  return themes.data ? <ThemeList themes={themes.data.themes} /> : <Loading what="themes" />;
}

function Figures() {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet");
  if (table.error) return <Failed error={table.error} />;
  return table.data ? <Charts table={table.data} /> : <Loading what="concepts" />;
}
