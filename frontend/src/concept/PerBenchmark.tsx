import { useEffect, useMemo, useState } from "react";
import { useRun } from "../app/state";
import { readTable } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import { decimal, integer, magnitude, signed, tenths } from "../format";
import { visible } from "../text";
import { IntervalBar } from "../concepts/IntervalBar";
import { Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";

/** The concept within each benchmark that activates it; the others in a sentence. */
export function PerBenchmark({ concept }: { concept: number }) {
  const run = useRun();
  const [tables, setTables] = useState<Table[] | null>(null);
  const [error, setError] = useState<Error | null>(null);
  useEffect(() => {
    let current = true;
    Promise.all(run.benchmarks.map((_, place) => readTable(run.key, `concepts/${place}.parquet`))).then((all) => current && setTables(all), (fault: Error) => current && setError(fault));
    return () => { current = false; };
  }, [run]);
  const lines = useMemo(() => tables?.map((table, place) => ({ table, place, support: number(table, "support", concept) ?? 0 })), [tables, concept]);
  if (error) return <Failed error={error} />;
  if (!lines) return <Loading what="its benchmarks" />;
  const active = lines.filter((one) => one.support > 0);
  const silent = lines.filter((one) => one.support === 0).map((one) => visible(run.benchmarks[one.place]!.name));
  const reach = Math.max(0.05, ...active.map(({ table }) => Math.max(Math.abs(number(table, "gap_low", concept) ?? 0), Math.abs(number(table, "gap_high", concept) ?? 0))));
  return (
    <section>
      <h3>By benchmark</h3>
      {active.length > 0 && (
        <div className="scroll" tabIndex={0} role="region" aria-label="By benchmark">
          <table className="by-benchmark" data-testid="concept-benchmarks">
            <thead><tr><th>Benchmark</th><th>Gap</th><th aria-label="Gap as a bar" /><th>χ model</th><th>χ bench</th><th>Items</th><th>n eff</th><th>Verdict</th></tr></thead>
            <tbody>
              {active.map(({ table, place, support }) => {
                const at = (key: string) => number(table, key, concept);
                const status = text(table, "performance_status", concept);
                return (
                  <tr key={place}>
                    <th scope="row"><bdi>{visible(run.benchmarks[place]!.name)}</bdi></th>
                    <td title={`${signed(at("gap"))} [${signed(at("gap_low"))}, ${signed(at("gap_high"))}]`}>{signed(at("gap"))}</td>
                    <td className="bar-cell"><IntervalBar scale={{ from: -reach, to: reach, neutral: 0 }} at={at("gap")} low={at("gap_low")} high={at("gap_high")} status={status} /></td>
                    <td>{decimal(at("chi_model"))}</td>
                    <td>{magnitude(at("chi_bench"))}</td><td>{integer(support)}</td><td>{tenths(at("n_eff"))}</td><td className="word"><Status status={status} /></td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {silent.length > 0 && <p className="soft">{active.length === 0 ? "No benchmark activates it." : `Silent in ${silent.length} of ${run.benchmarks.length}: ${silent.join(", ")}.`}</p>}
    </section>
  );
}
