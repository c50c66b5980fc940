import { Alert, Anchor } from "@mantine/core";
import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import type { BenchmarkSummary, RunInfo } from "../data/types";
import { integer, meanScore, NOT_DEFINED, tenths } from "../format";
import { symbols, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Probes } from "./Probes";
import "./card.css";

/** How far to trust the run, and what it was made of. */
export function Card() {
  const run = useRun();
  const route = useRoute();
  return (
    <div className="card-view">
      <Heading suite="of the whole suite">Trust and run card</Heading>
      <p className="lead">How far to trust the findings, and everything that is needed to repeat this run.</p>
      {run.cautions.map((caution) => (
        <Alert key={caution.text} color={caution.tone === "bad" ? "orange" : "gray"} mb="sm" className="caution">
          {visible(caution.text)}
        </Alert>
      ))}
      <h2>Robustness</h2>
      {run.verdicts ? (
        <Verdicts verdicts={run.verdicts} />
      ) : (
        <p>
          Not tested. <code>cgaps robustness</code> leaves out items at random, removes the items that matter most, and
          tests one half of the items on the other; it needs no model.{" "}
          <Anchor href={address(route, { view: "suggestions" })}>The command is under Suggestions.</Anchor>
        </p>
      )}
      {run.probes.length > 0 && (
        <>
          <h2>Fresh items</h2>
          <p className="soft">
            What new items say about concepts that this run calls weak or strong (<code>cgaps probe</code>).
          </p>
          <Probes probes={run.probes} named />
        </>
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

const HEADS = [
  "Benchmark",
  "Items",
  "Scored",
  "Excluded",
  "Mean score",
  "Covered",
  "Missing",
  "Tested",
  "Weak",
  "Strong",
  "Tokens per item",
  "Scored by",
];

function Benchmarks({ benchmarks }: { benchmarks: BenchmarkSummary[] }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Benchmarks">
      <table className="plain-table">
        <thead>
          <tr>
            {HEADS.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {benchmarks.map((benchmark) => (
            <tr key={benchmark.name}>
              <th scope="row">
                <bdi>{visible(benchmark.name)}</bdi>
              </th>
              <td>{integer(benchmark.items)}</td>
              <td>{integer(benchmark.scored)}</td>
              <td>{integer(benchmark.excluded)}</td>
              <td>{meanScore(benchmark.mean_score)}</td>
              {/* Without a kept item nothing can be said of concepts. */}
              {[benchmark.covered, benchmark.missing, benchmark.tested, benchmark.weak, benchmark.strong].map(
                (count, i) => (
                  <td key={i}>{benchmark.kept > 0 ? integer(count) : NOT_DEFINED}</td>
                ),
              )}
              <td>{tenths(benchmark.mean_span_tokens)}</td>
              <td>{visible(benchmark.policy)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Sources({ benchmarks }: { benchmarks: BenchmarkSummary[] }) {
  const documented = benchmarks.filter(
    (benchmark) =>
      benchmark.scope || benchmark.figures.length || benchmark.warnings.length || benchmark.left_out.length,
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
            {benchmark.warnings.map((warning) => (
              <div key={warning} className="weak-text">
                {visible(warning)}
              </div>
            ))}
            {benchmark.left_out.length > 0 && (
              <details>
                <summary>Records left out, by reason ({integer(benchmark.left_out.length)})</summary>
                <ul>
                  {benchmark.left_out.slice(0, 200).map((left, i) => (
                    <li key={i}>
                      <code>{visible(left.where)}</code> {visible(left.reason)}
                    </li>
                  ))}
                </ul>
                {benchmark.left_out.length > 200 && (
                  <p className="soft">200 reasons are listed; all records are in manifest.json.</p>
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
