import { scorerName, useRun } from "../app/state";
import { useModels } from "../data/hooks";
import type { BenchmarkSummary } from "../data/types";
import { integer, meanScore, NOT_DEFINED, tenths } from "../format";
import { visible } from "../text";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { Overlap } from "./Overlap";
import { Scores } from "./Scores";
import "../answer/answer.css";

/** How models score on the benchmarks, how alike these are, and what each one is. */
export function Benchmarks() {
  const run = useRun();
  const several = run.models.length > 1;
  const models = useModels(several ? run.key : null);
  return (
    <div className="answer">
      <h1>Benchmarks</h1>
      {models.error && <Failed error={models.error} />}
      {several && !models.data && !models.error && <Loading name="the scores" />}
      {models.data && <Scores file={models.data} />}
      {run.sae !== null && run.benchmarks.length > 1 && <Overlap />}
      <h2>What each benchmark is</h2>
      <Summaries />
      <ul className="plain-list">
        {run.benchmarks.map((benchmark) => (
          <Source key={benchmark.name} benchmark={benchmark} />
        ))}
      </ul>
    </div>
  );
}

/** Without a kept item nothing can be said of concepts. */
const concepts = (key: "covered" | "missing" | "tested" | "failure" | "success") => (benchmark: BenchmarkSummary) =>
  benchmark.kept > 0 ? integer(benchmark[key]) : NOT_DEFINED;

function Summaries() {
  const run = useRun();
  return (
    <Rows
      label="Table of benchmarks"
      testId="benchmarks"
      rows={run.benchmarks}
      columns={[
        { name: "Benchmark", cell: ({ name }) => <bdi>{visible(name)}</bdi> },
        { name: "Items", cell: ({ items }) => integer(items) },
        { name: "Scored", cell: ({ scored }) => integer(scored) },
        { name: "Excluded", cell: ({ excluded }) => integer(excluded) },
        {
          name: run.scored.scored ? "Mean score" : "Mean score of all models",
          cell: ({ mean_score }) => meanScore(mean_score),
        },
        { name: "Covered", cell: concepts("covered") },
        { name: "Missing", cell: concepts("missing") },
        { name: "Tested", cell: concepts("tested") },
        { name: "With failure", cell: concepts("failure") },
        { name: "With success", cell: concepts("success") },
        { name: "Tokens per item", cell: ({ mean_span_tokens }) => tenths(mean_span_tokens) },
        { name: "Scored by", words: true, cell: ({ scorer }) => scorerName(scorer, run.models) },
      ]}
    />
  );
}

/** What a benchmark states to test, what its scorers measured, and which records were left out. */
function Source({ benchmark: { name, scope, figures, warnings, left_out } }: { benchmark: BenchmarkSummary }) {
  const texts = Object.keys(warnings);
  if (!scope && figures.length + texts.length + left_out.length === 0) return null;
  return (
    <li>
      <strong>
        <bdi>{visible(name)}</bdi>
      </strong>
      {scope && <span className="soft"> Tests: {visible(scope)}</span>}
      {figures.map((line) => (
        <div key={line}>{visible(line)}</div>
      ))}
      {texts.map((text) => (
        <div key={text} className="weak-text">
          {visible(text)}
        </div>
      ))}
      {left_out.length > 0 && (
        <details>
          <summary>Records left out, by reason ({integer(left_out.length)})</summary>
          <ul>
            {left_out.slice(0, MAX_REASONS).map((reason, i) => (
              <li key={i}>{visible(reason)}</li>
            ))}
          </ul>
          {left_out.length > MAX_REASONS && (
            <p className="soft">The first {MAX_REASONS} reasons; manifest.json has them all.</p>
          )}
        </details>
      )}
    </li>
  );
}

const MAX_REASONS = 200;
