import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, text } from "../data/table";
import type { MatchedList } from "../data/types";
import { integer, plural, probability, signed } from "../format";
import { ConceptLink } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";

const SHOWN = 20;

/** Weak concepts that no entry of the list names. */
export function Unnamed({ list }: { list: MatchedList }) {
  const run = useRun();
  const table = useTable(list.unnamed.length > 0 ? run.key : null, "concepts.parquet");
  const of = list.by === "labels" ? "labelled weak concept" : "weak concept";
  const rest = !list.unnamed.length
    ? ""
    : list.by === "labels"
      ? ": what the run shows and the list does not"
      : ": neither they nor the concepts that lead them are among the confirmed ones of an entry, at most five each";
  return (
    <section aria-label="Weak concepts that no entry names">
      <h2>Weak concepts that no entry names</h2>
      <p className="soft" data-testid="unnamed-count">
        {list.weak_concepts === 0
          ? `The run has no ${of}.`
          : `${integer(list.unnamed.length)} of ${plural(list.weak_concepts, of)}${rest}.`}
      </p>
      {table.error && <Failed error={table.error} />}
      {list.unnamed.length > 0 && !table.data && !table.error && <Loading what="the concepts" />}
      {table.data && list.unnamed.length > 0 && (
        <Rows
          label="Table of weak concepts"
          testId="unnamed"
          first={SHOWN}
          rows={list.unnamed}
          columns={[
            {
              name: "concept",
              cell: (concept) => <ConceptLink concept={concept} label={text(table.data, "label", concept)} />,
            },
            { name: "gap", cell: (concept) => signed(number(table.data, "gap", concept)) },
            { name: "q", cell: (concept) => probability(number(table.data, "q_value", concept)) },
            { name: "items", cell: (concept) => integer(number(table.data, "support", concept)) },
          ]}
        />
      )}
    </section>
  );
}
