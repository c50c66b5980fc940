import { Select } from "@mantine/core";
import { useMemo } from "react";
import { placeOf } from "../app/benchmarks";
import { arePaired, headOf } from "../app/family";
import { address, go, useRoute } from "../app/route";
import { runName } from "../app/runName";
import { useBenchmark, useRun, useRunList } from "../app/state";
import { useConceptTable } from "../concepts/useConceptTable";
import { type Loaded, useAgainst, useRunInfo, useThemes } from "../data/hooks";
import type { BenchmarkSummary, PairedScores, Pairing, RunInfo } from "../data/types";
import { integer, meanScore, plural } from "../format";
import { differenceColumns, PairedSentences } from "../models/Paired";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Measured, Status } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { ByConcept } from "./ByConcept";
import { settingsThatDiffer, themePairs } from "./joined";
import "./compare.css";

/** Two runs side by side. */
export function Compare() {
  const run = useRun();
  const { runs } = useRunList();
  const { params } = useRoute();
  const others = runs.filter((other) => other.key !== run.key);
  const chosen = others.find((other) => other.key === params.get("with")) ?? others[0];
  return (
    <div className="compare">
      <Heading>Compare</Heading>
      {!chosen ? (
        <>
          <p className="lead">There is only one run here. Open two to compare them:</p>
          <Copied text="cgaps explore RUN_A RUN_B" />
        </>
      ) : (
        <>
          <div className="compare-runs">
            <span className="compare-side">A</span> <bdi>{runName(run.key, runs)}</bdi>
            <span className="compare-side">B</span>
            <Select
              size="xs"
              w={280}
              aria-label="Compare with"
              data-testid="compare-with"
              allowDeselect={false}
              value={chosen.key}
              data={others.map((other) => ({ value: other.key, label: runName(other.key, runs) }))}
              onChange={(key) => go({ params: { with: key } })}
            />
          </div>
          <With key={chosen.key} other={chosen.key} />
        </>
      )}
    </div>
  );
}

function With({ other }: { other: string }) {
  const run = useRun();
  const { runs } = useRunList();
  const second = useRunInfo(other);
  const pair = useAgainst(run.key, arePaired(run.key, other, runs) ? other : null);
  const scores = pair.data?.scores ?? null;
  if (second.error) return <Failed error={second.error} />;
  if (!second.data) return <Loading what="the other run" />;
  const same = run.sae_sha256 !== null && run.sae_sha256 === second.data.sae_sha256;
  const settings = settingsThatDiffer(run, second.data);
  return (
    <>
      {!same && (
        <p className="compare-caution" data-testid="compare-different-sae">
          The runs have different SAEs ({visible(run.sae)}; {visible(second.data.sae)}), so concept 12 of one is not
          concept 12 of the other. Benchmarks and themes are compared by their names only.
        </p>
      )}
      <p className={settings.length ? "compare-caution" : "soft"} data-testid="compare-settings">
        {settings.length
          ? `The runs differ in: ${settings.join(", ")}. The differences below may be due to that.`
          : "The runs were made with the same settings, as far as they record them."}
      </p>
      <ItemByItem first={run} second={second.data} pair={pair} />
      {same && <Concepts second={second.data} paired={scores} />}
      <Benchmarks first={run} second={second.data} pair={scores} />
      {run.has.themes && second.data.has.themes && <Themes first={run} second={second.data} pair={scores} />}
    </>
  );
}

/** Scores of both runs item by item, or why they are not compared. */
function ItemByItem({ first, second, pair }: { first: RunInfo; second: RunInfo; pair: Loaded<Pairing> }) {
  const { runs } = useRunList();
  const route = useRoute();
  const [a, b] = [first.scored.model, second.scored.model];
  const ofOneRun = headOf(first.key, runs) === headOf(second.key, runs);
  return (
    <section aria-label="Scores item by item">
      <h2>Scores, item by item</h2>
      {!arePaired(first.key, second.key, runs) ? (
        <p className="compare-caution" data-testid="compare-unpaired">
          {!ofOneRun && "Only scores are compared item by item, and one of these runs shows another outcome."}
          {ofOneRun && "Both show models on the items of one run. "}
          {ofOneRun && a !== b && (
            <a href={address(route, { view: "models", params: { a, b } })}>Models compares these two item by item.</a>
          )}
        </p>
      ) : pair.error ? (
        <Failed error={pair.error} />
      ) : !pair.data ? (
        <Loading what="the scores of both runs" />
      ) : pair.data.scores === null ? (
        <p className="compare-caution" data-testid="compare-unpaired">
          {visible(pair.data.why ?? "")} No difference is given below: what differs may be the items.
        </p>
      ) : (
        <PairedSentences pair={pair.data.scores} names={["B", "A"]} />
      )}
    </section>
  );
}

function Concepts({ second, paired }: { second: RunInfo; paired: PairedScores | null }) {
  const run = useRun();
  const bench = useBenchmark();
  const place = bench === null ? null : placeOf(run.benchmarks[bench]!.name, second.benchmarks);
  const within = bench !== null && place !== null;
  const a = useConceptTable(run, within ? bench : null);
  const b = useConceptTable(second, within ? place : null);
  const error = a.error ?? b.error;
  if (error) return <Failed error={error} />;
  if (!a.table || !b.table) return <Loading what="the concepts of both runs" />;
  return (
    <>
      {bench !== null && !within && (
        <p className="compare-caution">
          Run B has no benchmark named {visible(run.benchmarks[bench]!.name)}: the whole suites are compared.
        </p>
      )}
      <ByConcept
        first={a.table}
        second={b.table}
        paired={within ? null : paired}
        within={within ? run.benchmarks[bench]!.name : null}
      />
    </>
  );
}

interface Both {
  first: RunInfo;
  second: RunInfo;
  pair: PairedScores | null;
}

/** Both runs' benchmarks, those of one name in one line. */
function Benchmarks({ first, second, pair }: Both) {
  const names = [...new Set([...first.benchmarks, ...second.benchmarks].map((benchmark) => benchmark.name))];
  const named = (run: RunInfo, name: string) => run.benchmarks.find((benchmark) => benchmark.name === name);
  const lines = names.map((name) => ({ name, a: named(first, name), b: named(second, name) }));
  const shared = lines.filter(({ a, b }) => a && b).length;
  const differences = new Map(pair?.benchmarks.map((row) => [row.benchmark, row]));
  // A benchmark of which no item is kept says nothing of any concept.
  const kept = (benchmark: BenchmarkSummary | undefined) => (benchmark?.kept ? benchmark : undefined);
  return (
    <section aria-label="Benchmarks of both runs">
      <h2>Benchmarks</h2>
      <p className="soft">
        {shared === 0
          ? "No benchmark has the same name in both runs."
          : `${integer(shared)} of ${plural(names.length, "benchmark")} are in both, by name.`}{" "}
        {pair !== null && "Differences are B minus A, item by item, in points of 100; q by Holm’s method."}
      </p>
      <Rows
        label="Table of benchmarks"
        testId="compare-benchmarks"
        rows={lines}
        columns={[
          { name: "benchmark", cell: ({ name }) => <bdi>{shorten(visible(name), 60)}</bdi> },
          { name: "mean score A", cell: ({ a }) => meanScore(a?.mean_score) },
          { name: "mean score B", cell: ({ b }) => meanScore(b?.mean_score) },
          ...(pair ? differenceColumns<(typeof lines)[number]>(({ name }) => differences.get(name) ?? null) : []),
          { name: "scored A", cell: ({ a }) => integer(a?.scored) },
          { name: "scored B", cell: ({ b }) => integer(b?.scored) },
          { name: "weak A", cell: ({ a }) => integer(kept(a)?.weak) },
          { name: "weak B", cell: ({ b }) => integer(kept(b)?.weak) },
          { name: "missing A", cell: ({ a }) => integer(kept(a)?.missing) },
          { name: "missing B", cell: ({ b }) => integer(kept(b)?.missing) },
        ]}
      />
    </section>
  );
}

/** Themes of the same name. */
function Themes({ first, second, pair }: Both) {
  const a = useThemes(first);
  const b = useThemes(second);
  const lines = useMemo(
    () => (a.data && b.data ? themePairs(a.data.themes, b.data.themes, pair?.themes ?? []) : null),
    [a.data, b.data, pair],
  );
  const error = a.error ?? b.error;
  if (error) return <Failed error={error} />;
  if (!lines) return <Loading what="the themes of both runs" />;
  const gap = (theme: { gap: number | null; gap_low: number | null; gap_high: number | null }) => (
    <Measured kind="signed" digits={3} value={theme.gap} low={theme.gap_low} high={theme.gap_high} />
  );
  return (
    <section aria-label="Themes of both runs">
      <h2>Themes</h2>
      <p className="soft">
        {plural(lines.length, "theme")} of the same name,{" "}
        {pair ? "those that differ most surely" : "the lowest gap in A"} first.
      </p>
      {lines.length > 0 && (
        <Rows
          label="Table of themes"
          testId="compare-themes"
          first={15}
          rows={lines}
          columns={[
            { name: "theme", cell: ({ name }) => <bdi>{shorten(visible(name), 70)}</bdi> },
            ...(pair ? differenceColumns<(typeof lines)[number]>(({ difference }) => difference) : []),
            { name: "gap A", cell: ({ a }) => gap(a) },
            { name: "gap B", cell: ({ b }) => gap(b) },
            { name: "verdict A", cell: ({ a }) => <Status status={a.performance_status} /> },
            { name: "verdict B", cell: ({ b }) => <Status status={b.performance_status} /> },
          ]}
        />
      )}
    </section>
  );
}
