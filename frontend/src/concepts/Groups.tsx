import { useMemo } from "react";
import { address, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { Finding } from "../data/types";
import { about } from "../findings/words";
import { integer, plural, signed } from "../format";
import { visible } from "../text";
import { ConceptLink, Status } from "../ui/Marks";
import { Empty, Loading } from "../ui/State";
import type { Scale } from "./bar";
import { IntervalBar, reach } from "./IntervalBar";

/** Weak and strong concepts by their finding: its leading concept, with the others folded below. */
export function Groups({ table }: { table: Table }) {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  // Groups are formed over the whole suite; the figures are those of the benchmark that the page is set to.
  const suite = useTable(run.key, "concepts.parquet");
  const scale = useMemo(() => reach({ key: "gap", kind: "signed" }, table), [table]);
  if (!suite.data) return <Loading what="the groups" />;
  const shown = about(run.findings, benchmark);
  const concepts = shown.reduce((sum, entry) => sum + entry.concepts.length, 0);
  return (
    <>
      <p className="soft" data-testid="groups-count">
        {plural(shown.length, "group")} of {integer(concepts)} concepts that share their items
        {benchmark !== null && ", at least a tenth of them, by weight, in this benchmark; gaps are within it"}.
        {face === "benchmark" && " Groups are formed by performance, not by coverage."}
      </p>
      {shown.length === 0 && (
        <Empty>
          No concept is weak or strong{benchmark !== null && " in a finding about this benchmark"}, so there is no
          group.
        </Empty>
      )}
      <ol className="groups" data-testid="groups">
        {shown.map((entry) => (
          <Group key={entry.finding} finding={entry} table={table} scale={scale} />
        ))}
      </ol>
    </>
  );
}

function Group({ finding, table, scale }: { finding: Finding; table: Table; scale: Scale }) {
  const route = useRoute();
  const [leader, ...followers] = finding.concepts;
  return (
    <li className="group" data-testid="group" data-finding={finding.finding}>
      <a className="finding-sentence" href={address(route, { view: "finding", rest: finding.finding })}>
        <bdi>{visible(finding.sentence)}</bdi>
      </a>
      <Line concept={leader!} table={table} scale={scale} />
      {followers.length > 0 && (
        <details>
          <summary>{plural(followers.length, "other concept")} of the group</summary>
          <ul className="followers">
            {followers.map((concept) => (
              <li key={concept}>
                <Line concept={concept} table={table} scale={scale} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}

function Line({ concept, table, scale }: { concept: number; table: Table; scale: Scale }) {
  const of = (key: string) => number(table, key, concept);
  const status = text(table, "performance_status", concept);
  return (
    <div className="group-concept">
      <span>
        <ConceptLink concept={concept} label={text(table, "label", concept)} limit={80} />
      </span>
      <IntervalBar scale={scale} at={of("gap")} low={of("gap_low")} high={of("gap_high")} status={status} />
      <span className="figure">{signed(of("gap"))}</span>
      <Status status={status} />
    </div>
  );
}
