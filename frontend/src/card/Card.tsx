import { Alert, Anchor } from "@mantine/core";
import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import type { Benchmark, RunInfo } from "../data/types";
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
      {run.cautions.map((one) => (
        <Alert key={one.text} color={one.tone === "bad" ? "orange" : "gray"} mb="sm" className="caution">
          {visible(one.text)}
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
            What new items say about concepts that this run calls weak or strong (<code>cgaps probe concept</code>).
          </p>
          <Probes probes={run.probes} named />
        </>
      )}
      <h2>Run card</h2>
      <dl className="facts sheet" data-testid="run-card">
        {run.card.map((one) => (
          <div key={one.name}>
            <dt>{visible(one.name)}</dt>
            <dd>
              {visible(one.value)}
              {one.note && <span>{visible(one.note)}</span>}
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

function Benchmarks({ benchmarks }: { benchmarks: Benchmark[] }) {
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
          {benchmarks.map((one) => (
            <tr key={one.name}>
              <th scope="row">
                <bdi>{visible(one.name)}</bdi>
              </th>
              <td>{integer(one.items)}</td>
              <td>{integer(one.scored)}</td>
              <td>{integer(one.excluded)}</td>
              <td>{meanScore(one.mean_score)}</td>
              {/* Without a kept item nothing can be said of concepts. */}
              {[one.covered, one.missing, one.tested, one.weak, one.strong].map((count, i) => (
                <td key={i}>{one.kept > 0 ? integer(count) : NOT_DEFINED}</td>
              ))}
              <td>{tenths(one.mean_span_tokens)}</td>
              <td>{visible(one.policy)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Sources({ benchmarks }: { benchmarks: Benchmark[] }) {
  const said = benchmarks.filter(
    (one) => one.scope || one.figures.length || one.warnings.length || one.left_out.length,
  );
  if (said.length === 0) return null;
  return (
    <>
      <h3>What each benchmark tests, and what was left out</h3>
      <ul className="plain-list">
        {said.map((one) => (
          <li key={one.name}>
            <strong>
              <bdi>{visible(one.name)}</bdi>
            </strong>
            {one.scope && <span className="soft"> Tests: {visible(one.scope)}</span>}
            {one.figures.map((line) => (
              <div key={line}>{visible(line)}</div>
            ))}
            {one.warnings.map((warning) => (
              <div key={warning} className="weak-text">
                {visible(warning)}
              </div>
            ))}
            {one.left_out.length > 0 && (
              <details>
                <summary>Records left out, by reason ({integer(one.left_out.length)})</summary>
                <ul>
                  {one.left_out.slice(0, 200).map((left, i) => (
                    <li key={i}>
                      <code>{visible(left.where)}</code> {visible(left.reason)}
                    </li>
                  ))}
                </ul>
                {one.left_out.length > 200 && (
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
      {verdicts.map((one) => (
        <li key={one.code} className={one.tone}>
          <span className="said">{SAID[one.tone]}</span>
          <span>
            <strong>{visible(one.test)}.</strong> {symbols(visible(one.sentence))}
          </span>
        </li>
      ))}
    </ul>
  );
}
