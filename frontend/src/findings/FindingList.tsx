import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import type { Finding } from "../data/types";
import { integer } from "../format";
import { visible } from "../text";
import { Heading } from "../ui/Heading";
import { Term } from "../ui/Hint";
import { Empty } from "../ui/State";
import { FindingLine } from "./FindingLine";
import { about } from "./words";
import "./findings.css";

/** All findings: where the model does worse than on comparable items, then where it does better. */
export function FindingList() {
  const run = useRun();
  const route = useRoute();
  const benchmark = useBenchmark();
  const shown = about(run.findings, benchmark);
  const of = (verdict: Finding["verdict"]) => shown.filter((finding) => finding.verdict === verdict);
  return (
    <div className="findings-view" data-testid="finding-list">
      <Heading>Findings</Heading>
      <p className="lead">
        Groups of items on which the model does worse or better than on{" "}
        <Term term="stratum">comparable items of the same benchmark</Term>.{" "}
        {benchmark === null
          ? `There are ${integer(shown.length)}.`
          : `${integer(shown.length)} of ${integer(run.findings.length)} concern this benchmark.`}
      </p>
      {shown.length === 0 && (
        <Empty>
          {run.answer.findings.find((finding) => finding.code === "no_finding")
            ? visible(run.answer.findings[0]!.text)
            : "None of the findings is about this benchmark."}
        </Empty>
      )}
      <Part title="Weak" findings={of("weak")} />
      <Part title="Strong" findings={of("strong")} />
      <p className="soft">
        The evidence is in the concepts behind them:{" "}
        <a href={address(route, { view: "concepts", params: { status: "weak,strong" } })}>
          {integer(run.counts.weak)} weak, {integer(run.counts.strong)} strong
        </a>
        .
      </p>
    </div>
  );
}

function Part({ title, findings }: { title: string; findings: Finding[] }) {
  if (findings.length === 0) return null;
  return (
    <section>
      <h2>
        {title} <span className="soft">{integer(findings.length)}</span>
      </h2>
      <ol className="finding-lines">
        {findings.map((finding) => (
          <FindingLine key={finding.finding} finding={finding} />
        ))}
      </ol>
    </section>
  );
}
