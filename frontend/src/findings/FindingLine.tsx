import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import type { Finding } from "../data/types";
import { visible } from "../text";
import { Status } from "../ui/Marks";
import { line, unseen } from "./words";

/** A finding in a list: its sentence, which leads to it, and its figures in a line. */
export function FindingLine({ finding }: { finding: Finding }) {
  const run = useRun();
  const route = useRoute();
  const { words, tone } = unseen(finding);
  return (
    <li className={`finding-line ${finding.verdict}`} data-testid="finding-line" data-finding={finding.finding}>
      <Status status={finding.verdict} />
      <div>
        <a className="finding-sentence" href={address(route, { view: "finding", rest: finding.finding })}>
          <bdi>{visible(finding.sentence)}</bdi>
        </a>
        <div className="soft">
          {line(finding, run)} ·{" "}
          <span className={tone}>
            <span className="said">{words}</span>
          </span>
        </div>
      </div>
    </li>
  );
}
