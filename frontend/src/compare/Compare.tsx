import { Select } from "@mantine/core";
import { placeOf } from "../app/benchmarks";
import { go, useRoute } from "../app/route";
import { runName } from "../app/runName";
import { useBenchmark, useRun, useRunList } from "../app/state";
import { useConceptTable } from "../concepts/useConceptTable";
import { useAgainst, useRunInfo } from "../data/hooks";
import type { BenchmarkSummary, Pairing, RunInfo } from "../data/types";
import { integer, meanScore, plural } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { ByConcept } from "./ByConcept";
import { differenceColumns } from "./differences";
import { settingsThatDiffer } from "./joined";
import { PairedAnswer } from "./PairedAnswer";
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
  const second = useRunInfo(other);
  const pair = useAgainst(run.key, other);
  if (second.error) return <Failed error={second.error} />;
  if (!second.data) return <Loading what="the other run" />;
  const same = run.sae_sha256 !== null && run.sae_sha256 === second.data.sae_sha256;
  const settings = settingsThatDiffer(run, second.data);
  return (
    <>
      {!same && (
        <p className="compare-caution" data-testid="compare-different-sae">
          The runs have different SAEs ({visible(run.sae)}; {visible(second.data.sae)}), so concept 12 of one is not
          concept 12 of the other. Benchmarks are compared by their names only.
        </p>
      )}
      <p className={settings.length ? "compare-caution" : "soft"} data-testid="compare-settings">
        {settings.length
          ? `The runs differ in: ${settings.join(", ")}. The differences below may be due to that.`
          : "The runs were made with the same settings, as far as they record them."}
      </p>
      <section aria-label="Scores item by item">
        <h2>Scores, item by item: B against A</h2>
        {pair.error && <Failed error={pair.error} />}
        {!pair.data && !pair.error && <Loading what="the scores of both runs" />}
        {pair.data && <PairedAnswer pair={pair.data} model={null} against={null} />}
      </section>
      {same && <Concepts second={second.data} />}
      <Benchmarks first={run} second={second.data} pair={pair.data} />
    </>
  );
}

function Concepts({ second }: { second: RunInfo }) {
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
      <ByConcept first={a.table} second={b.table} within={within ? run.benchmarks[bench]!.name : null} />
    </>
  );
}

interface Both {
  first: RunInfo;
  second: RunInfo;
  pair: Pairing | null;
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
