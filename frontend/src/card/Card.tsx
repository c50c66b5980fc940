import { scorer } from "../app/benchmarks";
import { useRun } from "../app/state";
import type { BenchmarkSummary, RunInfo } from "../data/types";
import { integer, meanScore, NOT_DEFINED, tenths } from "../format";
import { symbols, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Rows } from "../ui/Rows";
import "./card.css";

/** How far to trust the run, and what it was made of. */
export function Card() {
  const run = useRun();
  return (
    <div className="card-view">
      <Heading suite="of the whole suite">Trust and run card</Heading>
      <p className="lead">How far to trust the findings, and everything needed to repeat this run.</p>
      <h2>Robustness</h2>
      {run.verdicts ? (
        <Verdicts verdicts={run.verdicts} />
      ) : (
        <p>
          How often half of the items find a slice again stands with each slice. <code>cgaps check RUN</code> adds tests
          of the whole run: it leaves out items at random, removes the items that matter most, and compares one half of
          the items with the other; it needs no model.
        </p>
      )}
      <h2>Run card</h2>
      <dl className="facts sheet" data-testid="run-card">
        {run.card.map((line) => (
          <div key={line.name}>
            <dt>{visible(line.name)}</dt>
            <dd>
              {visible(line.value)}
              {line.note && <span>{visible(line.note)}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {run.command && (
        <>
          <h3>Command</h3>
          <Copied text={run.command} />
        </>
      )}
      <h2>Benchmarks</h2>
      <Benchmarks benchmarks={run.benchmarks} />
      <Sources benchmarks={run.benchmarks} />
      <Listing title="Versions" lines={run.versions} />
      <Listing title={`Settings (${integer(run.settings.length)})`} lines={run.settings} />
    </div>
  );
}

/** Without a kept item nothing can be said of concepts. */
const known = (key: "covered" | "missing" | "tested" | "failure" | "success") => (benchmark: BenchmarkSummary) =>
  benchmark.kept > 0 ? integer(benchmark[key]) : NOT_DEFINED;

function Benchmarks({ benchmarks }: { benchmarks: BenchmarkSummary[] }) {
  const run = useRun();
  return (
    <Rows
      label="Benchmarks"
      rows={benchmarks}
      columns={[
        { name: "Benchmark", cell: ({ name }) => <bdi>{visible(name)}</bdi> },
        { name: "Items", cell: ({ items }) => integer(items) },
        { name: "Scored", cell: ({ scored }) => integer(scored) },
        { name: "Excluded", cell: ({ excluded }) => integer(excluded) },
        {
          name: run.scored.scored ? "Mean score" : "Mean score of all models",
          cell: ({ mean_score }) => meanScore(mean_score),
        },
        { name: "Covered", cell: known("covered") },
        { name: "Missing", cell: known("missing") },
        { name: "Tested", cell: known("tested") },
        { name: "With failure", cell: known("failure") },
        { name: "With success", cell: known("success") },
        { name: "Tokens per item", cell: ({ mean_span_tokens }) => tenths(mean_span_tokens) },
        { name: "Scored by", words: true, cell: ({ policy }) => scorer(policy, run) },
      ]}
    />
  );
}

function Sources({ benchmarks }: { benchmarks: BenchmarkSummary[] }) {
  const documented = benchmarks.filter(
    (benchmark) =>
      benchmark.scope ||
      benchmark.figures.length ||
      Object.keys(benchmark.warnings).length ||
      benchmark.left_out.length,
  );
  if (documented.length === 0) return null;
  return (
    <>
      <h3>What each benchmark tests, and what was left out</h3>
      <ul className="plain-list">
        {documented.map((benchmark) => (
          <li key={benchmark.name}>
            <strong>
              <bdi>{visible(benchmark.name)}</bdi>
            </strong>
            {benchmark.scope && <span className="soft"> Tests: {visible(benchmark.scope)}</span>}
            {benchmark.figures.map((line) => (
              <div key={line}>{visible(line)}</div>
            ))}
            {Object.keys(benchmark.warnings).map((text) => (
              <div key={text} className="weak-text">
                {visible(text)}
              </div>
            ))}
            {benchmark.left_out.length > 0 && (
              <details>
                <summary>Records left out, by reason ({integer(benchmark.left_out.length)})</summary>
                <ul>
                  {benchmark.left_out.slice(0, 200).map((left, i) => (
                    <li key={i}>{visible(left)}</li>
                  ))}
                </ul>
                {benchmark.left_out.length > 200 && (
                  <p className="soft">The first 200 reasons; manifest.json has them all.</p>
                )}
              </details>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

function Listing({ title, lines }: { title: string; lines: [string, string][] }) {
  if (lines.length === 0) return null;
  return (
    <details className="listing">
      <summary>{title}</summary>
      <dl>
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{visible(name)}</dt>
            <dd>{visible(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

const SAID = { good: "holds", bad: "does not hold", open: "cannot tell" };

/** Outcome of each test of the run's robustness. */
function Verdicts({ verdicts }: { verdicts: NonNullable<RunInfo["verdicts"]> }) {
  return (
    <ul className="verdicts" data-testid="verdicts">
      {verdicts.map((verdict) => (
        <li key={verdict.code} className={verdict.tone}>
          <span className="said">{SAID[verdict.tone]}</span>
          <span>
            <strong>{visible(verdict.test)}.</strong> {symbols(visible(verdict.sentence))}
          </span>
        </li>
      ))}
    </ul>
  );
}
