import { useComputedColorScheme } from "@mantine/core";
import { useMemo } from "react";
import { useFace, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { numbers, select, type Table, texts, value } from "../data/table";
import type { BenchmarkSummary } from "../data/types";
import { decimal, integer, magnitude, meanScore, percent } from "../format";
import { shorten, visible } from "../text";
import { sequential } from "../ui/colours";
import { Term } from "../ui/Hint";
import { Chart, Plot } from "../ui/Plot";
import { Failed, Loading } from "../ui/State";
import { type Bin, histogram, linearEdges, logEdges, median } from "./bins";

/** The report's charts: coverage against performance, both distributions, and what each benchmark leaves out. */
export function Charts({ table }: { table: Table }) {
  const face = useFace();
  const run = useRun();
  const alive = useMemo(() => aliveRows(table), [table]);
  const first = <Quadrants key="map" table={table} />;
  const second = <MissingShares key="missing" benchmarks={run.benchmarks} />;
  return (
    <>
      {face === "model" ? [first, second] : [second, first]}
      <div className="two">
        <Distribution table={table} rows={alive} what="chi_bench" />
        <Distribution table={table} rows={alive} what="chi_model" />
      </div>
    </>
  );
}

const aliveRows = (table: Table) => select(table.rows, [(row) => value(table, "alive", row) === true]);

/** Both distributions within one benchmark. */
export function BenchmarkCharts({ place }: { place: number }) {
  const run = useRun();
  const suite = useTable(run.key, "concepts.parquet");
  const table = useTable(run.key, `concepts/${place}.parquet`);
  const alive = useMemo(() => (suite.data ? aliveRows(suite.data) : null), [suite.data]);
  const error = suite.error ?? table.error;
  if (error) return <Failed error={error} />;
  if (!table.data || !alive) return <Loading what="the benchmark's concepts" />;
  const name = visible(run.benchmarks[place]!.name);
  return (
    <div className="two">
      <Distribution table={table.data} rows={alive} what="chi_bench" within={name} />
      <Distribution
        table={table.data}
        rows={alive}
        what="chi_model"
        within={name}
        mean={run.benchmarks[place]!.mean_score}
      />
    </div>
  );
}

function Quadrants({ table }: { table: Table }) {
  const run = useRun();
  const dark = useComputedColorScheme("light") === "dark";
  const drawn = useMemo(() => {
    const coverage = numbers(table, "chi_bench");
    const gap = numbers(table, "gap");
    const tested = numbers(table, "q_value");
    const status = texts(table, "performance_status");
    const rows = select(table.rows, [(row) => !Number.isNaN(tested[row]!), (row) => coverage[row]! > 0]);
    const reach = Math.max(
      0.1,
      rows.reduce((most, row) => Math.max(most, Math.abs(gap[row]!)), 0),
    );
    const [x, y] = [Float64Array.from(rows, (row) => coverage[row]!), Float64Array.from(rows, (row) => gap[row]!)];
    const marked = rows.filter((row) => status[row] === "weak" || status[row] === "strong");
    // More dots than a reader can tell apart are the map's business.
    const step = Math.ceil(marked.length / 1500);
    const points = [...marked]
      .filter((_, i) => i % step === 0)
      .map((row) => ({ x: coverage[row]!, y: gap[row]!, status: status[row]! }));
    return { x, y, points, rows: rows.length, marked: marked.length, middle: median([...x]), reach };
  }, [table]);
  const options = useMemo<Plot.PlotOptions>(() => {
    const shade = sequential(dark);
    return {
      marginLeft: 48,
      marginBottom: 40,
      marginTop: 16,
      x: {
        type: "log",
        label: `Coverage (logarithmic; ${run.unit}) →`,
        ticks: 5,
        tickFormat: (tick: number) => magnitude(tick),
      },
      y: { label: "↑ Gap", domain: [-drawn.reach, drawn.reach], ticks: 7 },
      color: { type: "log", interpolate: (at: number) => shade(0.15 + 0.85 * at) },
      marks: [
        Plot.ruleY([0], { strokeDasharray: "4 4", stroke: "var(--faint)" }),
        Plot.ruleX([drawn.middle], { strokeDasharray: "4 4", stroke: "var(--faint)" }),
        Plot.hexagon(
          { length: drawn.rows },
          Plot.hexbin({ fill: "count" }, { x: drawn.x, y: drawn.y, binWidth: 17, r: 9.8 }),
        ),
        Plot.dot(drawn.points, {
          x: "x",
          y: "y",
          r: 2.4,
          fill: (bar: { status: string }) => (bar.status === "weak" ? "var(--weak)" : "var(--accent)"),
          stroke: "var(--card)",
          strokeWidth: 0.6,
        }),
      ],
    };
  }, [drawn, dark, run]);
  if (drawn.rows === 0)
    return (
      <section>
        <h2>Coverage against performance</h2>
        <p className="soft">No concept could be tested, so there is no gap to draw.</p>
      </section>
    );
  return (
    <section>
      <h2>Coverage against performance</h2>
      <p className="soft">
        {integer(drawn.rows)} tested concepts of {integer(run.counts.alive)} <Term term="alive">alive</Term>; darker
        hexagons hold more. {integer(drawn.marked)} gaps are significant: <span className="dot weak-dot" /> weak (
        {integer(run.counts.weak)}), <span className="dot strong-dot" /> strong ({integer(run.counts.strong)}). Lines:
        the median <Term term="chi_bench">coverage</Term> of these tested concepts, and no <Term term="gap">gap</Term>.
        Only the dots are verdicts: any other gap may be due to chance, or too small to matter.
      </p>
      <Chart
        options={options}
        height={420}
        label={`Coverage and gap of ${integer(drawn.rows)} concepts, ${run.counts.weak} of them weak.`}
      />
    </section>
  );
}

function Distribution({
  table,
  rows,
  what,
  within,
  mean,
}: {
  table: Table;
  rows: Uint32Array;
  what: "chi_bench" | "chi_model";
  within?: string;
  mean?: number | null;
}) {
  const run = useRun();
  const log = what === "chi_bench";
  const { bins, shown, mark } = useMemo(() => {
    const values = numbers(table, what);
    const edges = log ? logEdges(values, rows, 40) : linearEdges(0, 1, 40);
    const bins = edges.length ? histogram(values, rows, edges) : [];
    const positive = Array.from(rows, (row) => values[row]!).filter((value) =>
      log ? value > 0 : !Number.isNaN(value),
    );
    return {
      bins,
      shown: bins.reduce((sum, bin) => sum + bin.count, 0),
      mark: log ? median(positive) : (mean ?? median(positive)),
    };
  }, [table, rows, what, log, mean]);
  const options = useMemo<Plot.PlotOptions>(
    () => ({
      marginLeft: 48,
      marginBottom: 40,
      x: log
        ? {
            type: "log",
            label: `Coverage (logarithmic; ${run.unit}) →`,
            ticks: 4,
            tickFormat: (tick: number) => magnitude(tick),
          }
        : { label: "Mean score of its items, weighted by activation →", domain: [0, 1] },
      y: { label: "↑ Concepts", grid: true, ticks: 4 },
      marks: [
        Plot.rect(bins, {
          x1: (bin: Bin) => bin.low,
          x2: (bin: Bin) => bin.high,
          y1: 0,
          y2: "count",
          fill: "var(--accent)",
          fillOpacity: 0.75,
          inset: 0.5,
        }),
        Plot.ruleX([mark].filter(Number.isFinite), { stroke: "var(--weak)", strokeWidth: 1.5 }),
        Plot.ruleY([0], { stroke: "var(--faint)" }),
      ],
    }),
    [bins, mark, log, run],
  );
  const question = log ? "How much each concept is tested" : "How well the model does where it is active";
  const title = within ? `${question} in ${shorten(within, 40)}` : question;
  const middle = `the median of these ${integer(shown)}, ${log ? magnitude(mark) : decimal(mark)}`;
  const line = mean != null ? `the benchmark’s mean score, ${meanScore(mean)}` : middle;
  const without = log ? "have no coverage, and so no place on a logarithmic axis" : "are in no scored item";
  const absent = rows.length - shown;
  return (
    <section>
      <h2>{title}</h2>
      <p className="soft">
        {integer(shown)} of {integer(rows.length)} alive concepts
        {absent > 0 && `; ${integer(absent)} ${without}`}.{Number.isFinite(mark) && ` Line: ${line}.`}
      </p>
      {shown > 0 && (
        <Chart options={options} height={220} label={`${title}: histogram of ${integer(shown)} concepts.`} />
      )}
    </section>
  );
}

function MissingShares({ benchmarks }: { benchmarks: BenchmarkSummary[] }) {
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
        Plot.barX(bars, {
          x: "share",
          y: "name",
          fill: "var(--weak)",
          fillOpacity: 0.8,
          insetTop: 2,
          insetBottom: 2,
          rx: 2,
        }),
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
        label={`Missing concepts by benchmark: ${bars
          .map((bar) => `${bar.name} ${bar.text}`)
          .slice(0, 20)
          .join(", ")}`}
      />
    </section>
  );
}
