import { Alert, Anchor } from "@mantine/core";
import { address, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { useThemes } from "../data/hooks";
import type { Statement } from "../data/types";
import { FindingLine } from "../findings/FindingLine";
import { about } from "../findings/words";
import "../findings/findings.css";
import { integer, plural } from "../format";
import { visible } from "../text";
import { Failed } from "../ui/State";
import { Distributions, MissingShares } from "./Charts";
import { Scores } from "./Scores";
import { ThemeList } from "./ThemeList";
import "./overview.css";

/** Findings of a benchmark that an overview shows. */
const MOST = 5;

/**
 * The answer first: failed checks, the main findings, scores, what is missing from the scope, and how far to trust it.
 */
export function Overview() {
  const run = useRun();
  const face = useFace();
  const findings = <Findings key="findings" />;
  const scope = <Scope key="scope" />;
  const scores = <Scores key="scores" />;
  return (
    <div className="overview">
      {run.answer.trust.map((statement) => (
        <Alert key={statement.code} color="orange" mb="sm" className="caution" data-testid="trust-failed">
          {visible(statement.text)}
        </Alert>
      ))}
      {run.cautions
        .filter((caution) => caution.tone === "bad")
        .map((caution) => (
          <Alert key={caution.text} color="orange" mb="sm" className="caution">
            {visible(caution.text)}
          </Alert>
        ))}
      <Question />
      <p className="lead" data-testid="opening">
        {visible(run.answer.opening.text)}
      </p>
      {face === "model" ? [findings, scores, scope] : [findings, scope, scores]}
      <Trust />
      <Behind />
    </div>
  );
}

function Question() {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  const name = benchmark === null ? null : visible(run.benchmarks[benchmark]!.name);
  const weak = `where is ${visible(run.scored.model)} weak${name === null ? "" : ` in ${name}`}`;
  const suite =
    run.benchmarks.length === 1
      ? "does its benchmark leave"
      : `do its ${integer(run.benchmarks.length)} benchmarks leave`;
  const left = name === null ? `what ${suite} out` : `what does ${name} leave out`;
  const both = face === "model" ? [weak, left] : [left, weak];
  return (
    <h1 className="question" data-testid="question">
      <bdi>{run.scored.scored ? both.join(", and ") : left}?</bdi>
    </h1>
  );
}

function Findings() {
  const run = useRun();
  const route = useRoute();
  const benchmark = useBenchmark();
  const own = about(run.findings, benchmark);
  const chosen =
    benchmark === null
      ? run.answer.findings.flatMap((finding) => run.findings[finding.finding ?? -1] ?? [])
      : own.slice(0, MOST);
  const nothing = run.answer.findings.find((finding) => finding.code === "no_finding");
  return (
    <section>
      <h2 className="first">
        {benchmark === null ? (
          "What was found"
        ) : (
          <>
            What was found in <bdi>{visible(run.benchmarks[benchmark]!.name)}</bdi>
          </>
        )}
      </h2>
      <ol className="finding-lines" data-testid="findings">
        {chosen.map((finding) => (
          <FindingLine key={finding.finding} finding={finding} />
        ))}
        {chosen.length === 0 && (
          <li className="finding-line">
            <span />
            <div>{nothing ? visible(nothing.text) : "None of the findings is about this benchmark."}</div>
          </li>
        )}
      </ol>
      {own.length > chosen.length && (
        <p>
          <Anchor href={address(route, { view: "findings" })} data-testid="all-findings">
            All {plural(own.length, "finding")}
          </Anchor>
        </p>
      )}
    </section>
  );
}

/** What benchmarks lack of the scope that they state; without one nothing is missing, only counted. */
function Scope() {
  const run = useRun();
  const benchmark = useBenchmark();
  const name = benchmark === null ? null : run.benchmarks[benchmark]!.name;
  const shown = run.answer.scope.filter(
    (statement) => name === null || statement.benchmark === null || statement.benchmark === name,
  );
  return (
    <section data-testid="scope">
      <h2>
        {name === null ? (
          "What is missing from the suite’s stated scope"
        ) : (
          <>
            What is missing from the stated scope of <bdi>{visible(name)}</bdi>
          </>
        )}
      </h2>
      {shown.length === 0 && (
        <p className="soft">No benchmark states its scope, so nothing can be said to be missing.</p>
      )}
      <Statements statements={shown} />
    </section>
  );
}

function Trust() {
  const run = useRun();
  const route = useRoute();
  return (
    <section data-testid="trust">
      <h2>How far to trust this</h2>
      <Statements statements={run.answer.confidence} />
      {run.cautions
        .filter((caution) => caution.tone === "open")
        .map((caution) => (
          <p key={caution.text} className="soft">
            {visible(caution.text)}
          </p>
        ))}
      <p>
        <Anchor href={address(route, { view: "card" })}>Tests, settings and warnings</Anchor>
      </p>
    </section>
  );
}

const MARKS: Record<string, string> = { good: "✓", bad: "✕", open: "?" };

function Statements({ statements }: { statements: Statement[] }) {
  return (
    <ul className="statements">
      {statements.map((statement) => (
        <li key={statement.code + statement.text} className={statement.tone}>
          <span className="said" aria-hidden="true">
            {MARKS[statement.tone] ?? "·"}
          </span>{" "}
          <bdi>{visible(statement.text)}</bdi>
        </li>
      ))}
    </ul>
  );
}

/** Themes and distributions, which the findings rest on. */
function Behind() {
  const run = useRun();
  const face = useFace();
  const themes = useThemes(run);
  const missing = <MissingShares key="missing" />;
  const parts = [themes.data && <ThemeList key="themes" themes={themes.data.themes} />];
  return (
    <>
      {themes.error && <Failed error={themes.error} />}
      {face === "model" ? [...parts, missing] : [missing, ...parts]}
      <Distributions place={useBenchmark()} />
    </>
  );
}
