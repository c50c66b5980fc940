import { useRun } from "../app/state";
import type { RunInfo } from "../data/types";
import { integer } from "../format";
import { symbols, visible } from "../text";
import { Copied } from "../ui/Copied";
import { KnownWeaknesses } from "./KnownWeaknesses";
import "./trust.css";

/** How far to trust the findings: robustness, lists of known weaknesses, and what the run was made of. */
export function Trust() {
  const run = useRun();
  return (
    <div className="trust">
      <h1>Trust</h1>
      <p className="lead">How far to trust the findings, and everything needed to repeat this run.</p>
      <h2>Robustness</h2>
      {run.verdicts ? (
        <Verdicts verdicts={run.verdicts} />
      ) : (
        <p>
          Each slice says how often half of the items find it again. <code>cgaps check RUN</code> adds tests of the
          whole run: it leaves out items at random, removes the items that matter most, and compares one half of the
          items with the other; it needs no model.
        </p>
      )}
      {run.has_matches && <KnownWeaknesses />}
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
      <Listing title="Versions" lines={run.versions} />
      <Listing title={`Settings (${integer(run.settings.length)})`} lines={run.settings} />
    </div>
  );
}

const OUTCOMES = { good: "holds", bad: "does not hold", open: "cannot tell" };

/** The outcome of each robustness test. */
function Verdicts({ verdicts }: { verdicts: NonNullable<RunInfo["verdicts"]> }) {
  return (
    <ul className="verdicts" data-testid="verdicts">
      {verdicts.map(({ code, tone, test, sentence }) => (
        <li key={code} className={tone}>
          <span className="outcome">{OUTCOMES[tone]}</span>
          <span>
            <strong>{visible(test)}.</strong> {symbols(visible(sentence))}
          </span>
        </li>
      ))}
    </ul>
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
