import { Select } from "@mantine/core";
import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { runName, useRun, useRunList } from "../app/state";
import { pathOf } from "../atlas/regions";
import { useAgainst, useCoverage, useRunInfo } from "../data/hooks";
import type { RunInfo } from "../data/types";
import { integer, meanScore, percent, plural, points } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { PairedAnswer } from "./PairedAnswer";
import { settingsThatDiffer } from "./settings";
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
          <Comparison key={chosen.key} other={chosen.key} />
        </>
      )}
    </div>
  );
}

function Comparison({ other }: { other: string }) {
  const run = useRun();
  const second = useRunInfo(other);
  const pair = useAgainst(run.key, other);
  if (second.error) return <Failed error={second.error} />;
  if (!second.data) return <Loading name="the other run" />;
  const same = run.sae_sha256 !== null && run.sae_sha256 === second.data.sae_sha256;
  const settings = settingsThatDiffer(run, second.data);
  return (
    <>
      {!same && run.sae !== null && second.data.sae !== null && (
        <p className="compare-caution" data-testid="compare-different-sae">
          The runs have different SAEs ({visible(run.sae)}; {visible(second.data.sae)}), so concept 12 of one is not
          concept 12 of the other. Benchmarks are matched by name only.
        </p>
      )}
      <p className={settings.length ? "compare-caution" : "soft"} data-testid="compare-settings">
        {settings.length
          ? `The runs differ in ${settings.join(", ")}, which may explain the differences below.`
          : "Both runs record the same settings."}
      </p>
      <section aria-label="Scores item by item">
        <h2>Scores item by item: B against A</h2>
        {pair.error && <Failed error={pair.error} />}
        {!pair.data && !pair.error && <Loading name="the scores of both runs" />}
        {pair.data && <PairedAnswer pair={pair.data} model={null} against={null} />}
      </section>
      {run.regions.length > 0 && sameAtlas(run, second.data) && <Regions second={second.data} />}
      <Benchmarks first={run} second={second.data} />
    </>
  );
}

const sameAtlas = (a: RunInfo, b: RunInfo) =>
  a.regions.length === b.regions.length && a.regions.every(({ name }, region) => name === b.regions[region]!.name);

/** Shares of both runs' items by region, largest difference first. */
function Regions({ second }: { second: RunInfo }) {
  const run = useRun();
  const { regions } = run;
  const [a, b] = [useCoverage(run, null), useCoverage(second, null)];
  const error = a.error ?? b.error;
  const rows = useMemo(() => {
    if (!a.data || !b.data) return null;
    const [ofA, ofB] = [a.data.regions, b.data.regions];
    return regions
      .filter(({ level }) => level < 3)
      .map((region) => ({ region, a: ofA[region.region]!.share, b: ofB[region.region]!.share }))
      .sort((left, right) => Math.abs(right.b - right.a) - Math.abs(left.b - left.a));
  }, [regions, a.data, b.data]);
  if (error) return <Failed error={error} />;
  if (!rows) return <Loading name="the regions of both runs" />;
  return (
    <section aria-label="Regions of both runs">
      <h2>What they test</h2>
      <p className="soft">Share of the items in each coarse and middle region of the atlas.</p>
      <Rows
        label="Table of regions"
        testId="compare-regions"
        first={12}
        rows={rows}
        columns={[
          {
            name: "region",
            cell: ({ region }) => (
              <bdi>
                {pathOf(regions, region.region)
                  .map(({ name }) => visible(name))
                  .join(" › ")}
              </bdi>
            ),
          },
          { name: "share A", cell: ({ a }) => percent(a, 1) },
          { name: "share B", cell: ({ b }) => percent(b, 1) },
          { name: "B minus A, points", cell: ({ a, b }) => points(b - a) },
        ]}
      />
    </section>
  );
}

/** Benchmarks of both runs, matched by name. */
function Benchmarks({ first, second }: { first: RunInfo; second: RunInfo }) {
  const names = [...new Set([...first.benchmarks, ...second.benchmarks].map((benchmark) => benchmark.name))];
  const named = (run: RunInfo, name: string) => run.benchmarks.find((benchmark) => benchmark.name === name);
  const lines = names.map((name) => ({ name, a: named(first, name), b: named(second, name) }));
  const shared = lines.filter(({ a, b }) => a && b).length;
  return (
    <section aria-label="Benchmarks of both runs">
      <h2>Benchmarks</h2>
      <p className="soft">
        {shared === 0
          ? "No benchmark has the same name in both runs."
          : `${integer(shared)} of ${plural(names.length, "benchmark")} are in both runs, by name.`}
      </p>
      <Rows
        label="Table of benchmarks"
        testId="compare-benchmarks"
        rows={lines}
        columns={[
          { name: "benchmark", cell: ({ name }) => <bdi>{shorten(visible(name), 60)}</bdi> },
          { name: "mean score A", cell: ({ a }) => meanScore(a?.mean_score) },
          { name: "mean score B", cell: ({ b }) => meanScore(b?.mean_score) },
          { name: "scored A", cell: ({ a }) => integer(a?.scored) },
          { name: "scored B", cell: ({ b }) => integer(b?.scored) },
        ]}
      />
    </section>
  );
}
