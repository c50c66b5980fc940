import { Select } from "@mantine/core";
import { placeOf } from "../app/benchmarks";
import { arePaired, headOf } from "../app/family";
import { address, go, useRoute } from "../app/route";
import { runName } from "../app/runName";
import { useBenchmark, useRun, useRunList } from "../app/state";
import { useConceptTable } from "../concepts/useConceptTable";
import { type Loaded, useAgainst, useRunInfo } from "../data/hooks";
import type { PairedScores, Pairing, RunInfo } from "../data/types";
import { plural } from "../format";
import { PairedSentences } from "../models/Paired";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { Failed, Loading } from "../ui/State";
import { ByConcept } from "./ByConcept";
import { ByBenchmark, ByTheme } from "./ByName";
import { differences } from "./settings";
import "./compare.css";

/** Two runs side by side. */
export function Compare() {
  const run = useRun();
  const { runs } = useRunList();
  const { params } = useRoute();
  const others = runs.filter((other) => other.key !== run.key);
  const chosen = others.find((other) => other.key === params.get("with")) ?? others[0] ?? null;
  return (
    <div className="compare">
      <Heading>Compare</Heading>
      {chosen === null ? (
        <Alone />
      ) : (
        <>
          <div className="compare-runs">
            <div>
              <span className="compare-side">A</span> <bdi>{runName(run.key, runs)}</bdi>
            </div>
            <div>
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
          </div>
          <With key={chosen.key} other={chosen.key} />
        </>
      )}
    </div>
  );
}

function Alone() {
  return (
    <>
      <p className="lead">
        There is only one run here. Open two to compare them, for example another model on the same benchmarks:
      </p>
      <div className="compare-command">
        <Copied text="cgaps explore RUN_A RUN_B" />
      </div>
    </>
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
  return (
    <>
      {!same && (
        <p className="compare-caution" data-testid="compare-different-sae">
          The runs have different SAEs ({visible(run.sae)}; {visible(second.data.sae)}), so concept 12 of one is not
          concept 12 of the other. Benchmarks and themes are compared by their names only.
        </p>
      )}
      <Made first={run} second={second.data} />
      <ItemByItem first={run} second={second.data} pair={pair} />
      {same && <Concepts second={second.data} paired={scores} />}
      <ByBenchmark first={run} second={second.data} pair={scores} />
      <ByTheme first={run} second={second.data} pair={scores} />
    </>
  );
}

/** Scores of both runs item by item, or why they are not compared. */
function ItemByItem({ first, second, pair }: { first: RunInfo; second: RunInfo; pair: Loaded<Pairing> }) {
  const { runs } = useRunList();
  const route = useRoute();
  const [a, b] = [first.scored.model, second.scored.model];
  return (
    <section aria-label="Scores item by item">
      <h2>Scores, item by item</h2>
      {!arePaired(first.key, second.key, runs) ? (
        <p className="compare-caution" data-testid="compare-unpaired">
          {headOf(first.key, runs) === headOf(second.key, runs) ? (
            <>
              Both show models on the items of one run.{" "}
              {a !== b && (
                <a href={address(route, { view: "models", params: { a, b } })}>
                  Models compares these two item by item.
                </a>
              )}
            </>
          ) : (
            "Only scores are compared item by item, and one of these runs shows another outcome."
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

/** As many differences are named. */
const NAMED = 12;

/** In which settings the runs differ. */
function Made({ first, second }: { first: RunInfo; second: RunInfo }) {
  const changes = differences(first, second);
  if (changes.length === 0) {
    return (
      <p className="soft" data-testid="compare-settings">
        Model, SAE, span, pooling, definitions, reference, tests and benchmarks are the same in both, as far as the runs
        record them.
      </p>
    );
  }
  const words = changes
    .slice(0, NAMED)
    .map(({ name, a, b }) => `${shortened(name)} (${[a, b].filter(Boolean).map(shortened).join(" / ")})`);
  return (
    <p className="compare-caution" data-testid="compare-settings">
      <strong>The runs differ in:</strong> {words.join(", ")}
      {changes.length > NAMED && ` and ${plural(changes.length - NAMED, "more setting")}`}. The differences below may be
      due to that.
    </p>
  );
}

const shortened = (text: string) => shorten(visible(text), 60);

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
        caution={within ? null : suites(run, second)}
      />
    </>
  );
}

/** Runs of different suites differ for reasons of their items. */
function suites(first: RunInfo, second: RunInfo): string | null {
  const shared = first.benchmarks.filter((benchmark) => placeOf(benchmark.name, second.benchmarks) !== null).length;
  if (shared === first.benchmarks.length && shared === second.benchmarks.length) return null;
  const share = shared === 0 ? "no benchmark" : `only ${plural(shared, "benchmark")}`;
  return `The runs share ${share} by name, so differences may be due to the items as well as to the model.`;
}
