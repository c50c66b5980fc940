import { useMemo } from "react";
import { useRun } from "../app/state";
import type { RunInfo } from "../data/types";
import { integer, NOT_DEFINED, percent, plural } from "../format";
import { shorten, visible } from "../text";
import { Chart, Plot } from "../ui/Plot";
import { Empty } from "../ui/State";

/** Share of the suite's concepts at which the rest of the suite adds little. */
const NEARLY_ALL = 0.95;

/** What each benchmark adds to those before it, the one that adds most first. */
export function Redundancy() {
  const run = useRun();
  const bars = useMemo(
    () =>
      run.redundancy.map((added) => ({
        name: shorten(visible(run.benchmarks[added.benchmark]?.name ?? `benchmark ${added.benchmark}`), 28),
        before: added.cumulative - added.adds,
        said: run.benchmarks[added.benchmark]?.kept === 0 ? NOT_DEFINED : `+${integer(added.adds)}`,
        ...added,
      })),
    [run],
  );
  const options = useMemo<Plot.PlotOptions>(() => {
    const longest = Math.max(4, ...bars.map((bar) => bar.name.length));
    return {
      marginLeft: Math.min(200, 18 + 7.2 * longest),
      marginRight: 64,
      marginTop: 8,
      marginBottom: 40,
      x: {
        label: "Ranked concepts covered by it and those above it →",
        grid: true,
        ticks: 6,
        tickFormat: (tick: number) => integer(tick),
      },
      y: { label: null, domain: bars.map((bar) => bar.name), padding: 0.28, tickSize: 0 },
      marks: [
        Plot.barX(bars, { y: "name", x1: 0, x2: "before", fill: "var(--line)" }),
        Plot.barX(bars, { y: "name", x1: "before", x2: "cumulative", fill: "var(--accent)" }),
        Plot.text(bars, { y: "name", x: "cumulative", text: "said", dx: 7, textAnchor: "start", fill: "currentColor" }),
      ],
    };
  }, [bars]);
  return (
    <section aria-label="What each benchmark adds">
      <h2>What each benchmark adds</h2>
      {bars.length === 0 || bars.at(-1)!.cumulative === 0 ? (
        <Empty>No benchmark of this run covers a ranked concept.</Empty>
      ) : (
        <>
          <p data-testid="correlation-redundancy">{sentence(run)}</p>
          <Chart
            options={options}
            height={48 + 30 * bars.length}
            label={`Concepts that each benchmark adds: ${bars.map((bar) => `${bar.name} ${bar.said}`).join(", ")}.`}
          />
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
