import { useRun } from "../app/state";
import type { RunInfo } from "../data/types";
import { integer, NOT_DEFINED, percent, plural } from "../format";
import { shorten, visible } from "../text";
import { Empty } from "../ui/State";

/** Share of the suite's concepts at which the rest of the suite adds little. */
const NEARLY_ALL = 0.95;

/** What each benchmark adds to those before it, the one that adds most first. */
export function Redundancy() {
  const run = useRun();
  const most = run.redundancy.at(-1)?.cumulative ?? 0;
  const width = (concepts: number) => ({ width: `${(100 * concepts) / most}%` });
  return (
    <section aria-label="What each benchmark adds">
      <h2>What each benchmark adds</h2>
      {most === 0 ? (
        <Empty>No benchmark of this run covers a ranked concept.</Empty>
      ) : (
        <>
          <p data-testid="correlation-redundancy">{sentence(run)}</p>
          <ol className="levels">
            {run.redundancy.map(({ benchmark, adds, cumulative }) => (
              <li key={benchmark}>
                <bdi>{shorten(visible(run.benchmarks[benchmark]!.name), 60)}</bdi>
                <span className="share-bar" aria-hidden="true">
                  <span className="before" style={width(cumulative - adds)} />
                  <span style={width(adds)} />
                </span>
                <span>{run.benchmarks[benchmark]!.kept === 0 ? NOT_DEFINED : `+${integer(adds)}`}</span>
                <span className="soft">{integer(cumulative)} in all</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function sentence(run: RunInfo): string {
  const order = run.redundancy;
  const total = order.at(-1)!.cumulative;
  const enough = 1 + order.findIndex((added) => added.cumulative >= NEARLY_ALL * total);
  const rest = order.slice(enough);
  const share = percent(order[enough - 1]!.cumulative / total);
  const start =
    `Chosen so that each adds most to those before it, ${enough} of ${plural(order.length, "benchmark")} cover ` +
    `${share} of the ${integer(total)} ranked concepts that the suite covers.`;
  if (rest.length === 0) return start;
  const adds = rest.map((added) => added.adds);
  const [least, most] = [Math.min(...adds), Math.max(...adds)];
  const range = least === most ? integer(least) : `${integer(least)} to ${integer(most)}`;
  const others = rest.length === 1 ? `The last one adds ${range}` : `The other ${rest.length} add ${range} each`;
  const keep = "Adding little is no reason to drop a benchmark: it may supply the items that verdicts need.";
  return `${start} ${others}. ${keep}`;
}
