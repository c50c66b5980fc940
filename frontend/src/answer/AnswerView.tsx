import { Alert, SegmentedControl } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { useAnswers } from "../data/hooks";
import type { ListedAnswer } from "../data/types";
import { visible } from "../text";
import { Failed, Loading } from "../ui/State";
import { Findings } from "./Findings";
import { chosenAnswer } from "./useAnswer";
import "./answer.css";

/** Where the model is weak and strong: the list that the terminal prints. */
export function AnswerView() {
  const run = useRun();
  const model = useModel();
  const { params } = useRoute();
  const answers = useAnswers(run.key, model);
  if (answers.error) return <Failed error={answers.error} />;
  if (!answers.data) return <Loading name="the answer" />;
  const answer = chosenAnswer(answers.data, params.get("against"));
  if (!answer) return <Failed error={new Error("This model has no scored items.")} />;
  const both = answers.data.peers !== null && answers.data.benchmark !== null;
  return (
    <div className="answer" data-testid="answer">
      {run.benchmarks.map(({ name, warnings }) =>
        Object.entries(warnings)
          .filter(([, otherModel]) => otherModel)
          .map(([text]) => (
            <Alert key={`${name} ${text}`} color="orange" mb="sm" className="caution">
              {visible(`${name}: ${text}`)}
            </Alert>
          )),
      )}
      {both && (
        <SegmentedControl
          size="xs"
          mb="sm"
          aria-label="What its scores are compared with"
          data-testid="against"
          value={answer.kind === "peers" ? "peers" : "benchmark"}
          data={[
            { value: "peers", label: "Against its peers" },
            { value: "benchmark", label: "Against its own average" },
          ]}
          onChange={(chosen) => go({ params: { against: chosen === "peers" ? null : chosen } })}
        />
      )}
      <ShownAnswer answer={answer} model={model!} against={answer.kind === "score" ? "benchmark" : null} />
    </div>
  );
}

/** An answer: what may overturn it, its headline, its list, and its caveats. */
export function ShownAnswer({ answer, ...of }: { answer: ListedAnswer; model: number | null; against: string | null }) {
  return (
    <>
      {answer.warnings.map((warning) => (
        <Alert key={warning} color="orange" mb="sm" className="caution" data-testid="warning">
          {visible(warning)}
        </Alert>
      ))}
      <h1 className="headline" data-testid="headline">
        <bdi>{visible(answer.headline)}</bdi>
      </h1>
      <Findings answer={answer} {...of} />
      <p className="soft" data-testid="scored">
        {visible(answer.scored)}
      </p>
      {answer.caveats.length > 0 && (
        <details className="listing" data-testid="caveats">
          <summary>
            {answer.warnings.length > 0 ? "Other caveats" : "Caveats"} ({answer.caveats.length})
          </summary>
          <ul>
            {answer.caveats.map((caveat) => (
              <li key={caveat}>
                <bdi>{visible(caveat)}</bdi>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
