import { go, useRoute } from "../app/route";
import { useBenchmark, useBenchmarkParam, useRun } from "../app/state";
import { holds } from "../data/hooks";
import { plural } from "../format";
import { Heading } from "../ui/Heading";
import { Empty } from "../ui/State";
import { HeatMap } from "./HeatMap";
import { PairView } from "./PairView";
import { bestPair } from "./pair";
import "./correlation.css";

/** Benchmark against benchmark: scores and overlap. */
export function Correlation() {
  const run = useRun();
  const { params } = useRoute();
  const bench = useBenchmark();
  const x = useBenchmarkParam("x");
  const y = useBenchmarkParam("y");
  const count = run.benchmarks.length;
  if (count < 2) {
    return (
      <>
        <h1>Correlation</h1>
        <Empty>This run has {plural(count, "benchmark")}; correlation needs at least two.</Empty>
      </>
    );
  }
  const fallback = bestPair(run.overlap.n_concepts, bench);
  const first = x ?? fallback[0];
  const second =
    y !== null && y !== first ? y : first === fallback[0] ? fallback[1] : bestPair(run.overlap.n_concepts, first)[1];
  return (
    <div className="correlation">
      <Heading within="with">Correlation</Heading>
      <p className="lead">Do benchmarks agree on what the model can do, and do they test the same concepts?</p>
      {holds(run, "concepts", first) && <PairView x={first} y={second} />}
      <HeatMap
        x={first}
        y={second}
        matrix={params.get("matrix")}
        onChoose={(a, b) => go({ params: { x: run.benchmarks[a]!.name, y: run.benchmarks[b]!.name } })}
      />
    </div>
  );
}
