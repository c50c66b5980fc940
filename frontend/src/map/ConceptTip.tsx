import type { Face } from "../app/state";
import { number, type Table, text } from "../data/table";
import { integer, magnitude, signed } from "../format";
import { ConceptName, Measured, Status } from "../ui/Marks";

/** What is said of the concept that the pointer is at. */
export function ConceptTip({ table, concept, face }: { table: Table; concept: number; face: Face }) {
  const of = (key: string) => number(table, key, concept);
  return (
    <>
      <strong>
        <ConceptName
          concept={concept}
          label={text(table, "label", concept)}
          token={text(table, "peak_token", concept)}
        />
      </strong>
      <dl>
        <dt>Gap</dt>
        <dd>
          <Measured kind="signed" value={of("gap")} low={of("gap_low")} high={of("gap_high")} />
        </dd>
        <dt>Coverage</dt>
        <dd>{magnitude(of("chi_bench"))}</dd>
        {face === "benchmark" && (
          <>
            <dt>Lift (log2)</dt>
            <dd>{signed(of("lift"), 1)}</dd>
          </>
        )}
        <dt>Items</dt>
        <dd>{integer(of("support"))}</dd>
        <dt>{face === "model" ? "Performance" : "Coverage is"}</dt>
        <dd>
          <Status status={text(table, face === "model" ? "performance_status" : "coverage_status", concept)} />
        </dd>
      </dl>
    </>
  );
}
