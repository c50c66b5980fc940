import { useMemo } from "react";
import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { numbers, select, type Table } from "../data/table";
import { decimal, integer, magnitude, percent } from "../format";
import { shorten, visible } from "../text";
import { Chart, Plot } from "../ui/Plot";
import { Failed, Loading } from "../ui/State";

/** How much concepts are tested and how well the model does on them, in the suite or in one benchmark. */
export function Distributions({ place }: { place: number | null }) {
  const run = useRun();
  const route = useRoute();
  const suite = useTable(run.key, "concepts.parquet");
  const part = useTable(place === null ? null : run.key, `concepts/${place ?? 0}.parquet`);
  const error = suite.error ?? part.error;
  const table = place === null ? suite.data : part.data;
  const alive = useMemo(() => {
    if (!suite.data) return null;
    const flags = numbers(suite.data, "alive");
    return select(suite.data.rows, [(row) => flags[row] === 1]);
  }, [suite.data]);
  if (error) return <Failed error={error} />;
  if (!table || !alive) return <Loading what="concepts" />;
  const within = place === null ? "" : ` in ${shorten(visible(run.benchmarks[place]!.name), 40)}`;
  return (
    <>
      <div className="two">
        <Distribution table={table} rows={alive} what="chi_bench" title={`How much each concept is tested${within}`} />
        <Distribution
          table={table}
          rows={alive}
          what="chi_model"
          title={`How well the model does where it is active${within}`}
        />
      </div>
      <p>
        <a href={address(route, { view: "map", params: { layout: "gaps" } })}>Coverage against gap, on the map</a>
      </p>
    </>
  );
}

interface DistributionProps {
  table: Table;
  rows: Uint32Array;
  what: "chi_bench" | "chi_model";
  title: string;
}

const BINS = 40;

function Distribution({ table, rows, what, title }: DistributionProps) {
  const run = useRun();
  const log = what === "chi_bench";
  const shown = useMemo(() => {
    const values = numbers(table, what);
    // Without coverage there is no place on a logarithmic axis.
    return Float64Array.from(rows, (row) => values[row]!)
      .filter((value) => (log ? value > 0 : !Number.isNaN(value)))
      .sort();
  }, [table, rows, what, log]);
  const middle = shown[shown.length >> 1];
  const options = useMemo<Plot.PlotOptions>(() => {
    const place = (value: number) => (log ? Math.log(value) : value);
    const ends = shown.length ? [shown[0]!, shown.at(-1)!] : [1, 1];
    // Scores less those of peers may lie outside of 0 to 1.
    const [low, high] = log ? ends.map(Math.log) : [Math.min(0, ends[0]!), Math.max(1, ends[1]!)];
    const step = (high! - low! || 1) / BINS;
    const edge = (i: number) => (log ? Math.exp(low! + i * step) : low! + i * step);
    const bins = Array.from({ length: BINS }, (_, i) => ({ low: edge(i), high: edge(i + 1), count: 0 }));
    for (const value of shown) bins[Math.min(BINS - 1, Math.floor((place(value) - low!) / step))]!.count++;
    return {
      marginLeft: 48,
      marginBottom: 40,
      x: log
        ? {
            type: "log",
            label: `Coverage (logarithmic; ${run.unit}) →`,
            ticks: 4,
            tickFormat: (at: number) => magnitude(at),
          }
        : { label: "Mean score of its items, weighted by activation →" },
      y: { label: "↑ Concepts", grid: true, ticks: 4 },
      marks: [
        Plot.rect(bins, {
          x1: "low",
          x2: "high",
          y1: 0,
          y2: "count",
          fill: "var(--accent)",
          fillOpacity: 0.75,
          inset: 0.5,
        }),
        Plot.ruleX(middle === undefined ? [] : [middle], { stroke: "var(--weak)", strokeWidth: 1.5 }),
        Plot.ruleY([0], { stroke: "var(--faint)" }),
      ],
    };
  }, [shown, middle, log, run]);
  const absent = rows.length - shown.length;
  return (
    <section>
      <h2>{title}</h2>
      <p className="soft">
        {integer(shown.length)} of {integer(rows.length)} alive concepts
        {absent > 0 && `; ${integer(absent)} ${log ? "have no coverage" : "are in no scored item"}`}.
        {middle !== undefined && ` Line: their median, ${log ? magnitude(middle) : decimal(middle)}.`}
      </p>
      {shown.length > 0 && (
        <Chart options={options} height={220} label={`${title}: histogram of ${integer(shown.length)} concepts.`} />
      )}
    </section>
  );
}

/** What each benchmark leaves out. */
export function MissingShares() {
  const { benchmarks } = useRun();
  const bars = useMemo(
    () =>
      benchmarks
        .filter((benchmark) => benchmark.kept > 0 && benchmark.alive > 0)
        .map((benchmark) => ({
          name: shorten(visible(benchmark.name), 32),
          share: benchmark.missing / benchmark.alive,
          text: `${percent(benchmark.missing / benchmark.alive)}  (${integer(benchmark.missing)})`,
        }))
        .sort((a, b) => b.share - a.share || a.name.localeCompare(b.name)),
    [benchmarks],
  );
  const options = useMemo<Plot.PlotOptions>(
    () => ({
      marginLeft: 180,
      marginRight: 90,
      marginBottom: 40,
      x: {
        label: "Missing, % of alive concepts →",
        domain: [0, 1],
        tickFormat: (tick: number) => percent(tick),
        grid: true,
      },
      y: { label: null, domain: bars.map((bar) => bar.name), tickSize: 0 },
      marks: [
        Plot.barX(bars, { x: "share", y: "name", fill: "var(--weak)", fillOpacity: 0.8, insetTop: 2, insetBottom: 2 }),
        Plot.text(bars, { x: "share", y: "name", text: "text", textAnchor: "start", dx: 6, fill: "var(--soft)" }),
      ],
    }),
    [bars],
  );
  if (bars.length === 0) return null;
  return (
    <section>
      <h2>What each benchmark misses</h2>
      <p className="soft">
        Concepts that are alive (active in the run or the reference text) and in no item of the benchmark, the largest
        share first.
      </p>
      <Chart
        options={options}
        height={56 + 24 * bars.length}
        label={`Missing concepts by benchmark: ${bars.map((bar) => `${bar.name} ${bar.text}`).join(", ")}`}
      />
    </section>
  );
}
