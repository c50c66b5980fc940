import { useMemo } from "react";
import { useBenchmark, useRun } from "../app/state";
import { readTable, useLoaded } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { ConceptDetail, ConceptInBenchmark } from "../data/types";
import { decimal, integer, magnitude, points, tenths } from "../format";
import { visible } from "../text";
import { IntervalBar } from "../ui/IntervalBar";
import { Status } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";

/** Rows of the benchmarks' tables, read only where the detail does not bring them. */
function useInBenchmarks({ concept, benchmarks }: ConceptDetail) {
  const run = useRun();
  const tables = useLoaded(benchmarks ? null : run.key, () =>
    Promise.all(run.benchmarks.map((_, index) => readTable(run.key, `concepts/${index}.parquet`))),
  );
  const rows = useMemo(
    () => benchmarks ?? tables.data?.map((table) => inTable(table, concept)) ?? null,
    [benchmarks, tables.data, concept],
  );
  return { rows, error: tables.error };
}

function inTable(table: Table, concept: number): ConceptInBenchmark {
  const at = (key: string) => number(table, key, concept);
  return {
    support: at("support") ?? 0,
    n_eff: at("n_eff"),
    chi_bench: at("chi_bench"),
    chi_model: at("chi_model"),
    association: at("association"),
    association_low: at("association_low"),
    association_high: at("association_high"),
    performance_status: text(table, "performance_status", concept),
  };
}

/** The concept within each benchmark that activates it; the others in a sentence. */
export function PerBenchmark({ detail }: { detail: ConceptDetail }) {
  const run = useRun();
  const selected = useBenchmark();
  const { rows, error } = useInBenchmarks(detail);
  if (error) return <Failed error={error} />;
  if (!rows) return <Loading name="its benchmarks" />;
  const lines = rows.map((row, index) => ({ row, index }));
  const active = lines.filter(({ row }) => row.support > 0);
  const silent = lines.filter(({ row }) => row.support === 0).map(({ index }) => visible(run.benchmarks[index]!.name));
  const reach = Math.max(
    0.05,
    ...active.map(({ row }) => Math.max(Math.abs(row.association_low ?? 0), Math.abs(row.association_high ?? 0))),
  );
  return (
    <section>
      <h3>By benchmark</h3>
      {active.length > 0 && (
        <Rows
          label="By benchmark"
          testId="concept-benchmarks"
          rows={active}
          current={({ index }) => index === selected}
          columns={[
            { name: "Benchmark", cell: ({ index }) => <bdi>{visible(run.benchmarks[index]!.name)}</bdi> },
            {
              name: "Association",
              cell: ({ row }) => (
                <span
                  className="interval-of"
                  title={`${points(row.association)} [${points(row.association_low)}, ${points(row.association_high)}]`}
                >
                  {points(row.association)}
                  <IntervalBar
                    scale={{ from: -reach, to: reach, neutral: 0 }}
                    at={row.association}
                    low={row.association_low}
                    high={row.association_high}
                    status={row.performance_status}
                  />
                </span>
              ),
            },
            { name: "χ model", cell: ({ row }) => decimal(row.chi_model) },
            { name: "χ bench", cell: ({ row }) => magnitude(row.chi_bench) },
            { name: "Items", cell: ({ row }) => integer(row.support) },
            { name: "n_eff", cell: ({ row }) => tenths(row.n_eff) },
            { name: "Verdict", words: true, cell: ({ row }) => <Status status={row.performance_status} /> },
          ]}
        />
      )}
      {active.length === 0 ? (
        <p className="soft">Not active in any benchmark.</p>
      ) : (
        silent.length > 0 && (
          <p className="soft">
            Not active in {silent.length} of {run.benchmarks.length} benchmarks: {silent.join(", ")}.
          </p>
        )
      )}
    </section>
  );
}
