import { useState } from "react";
import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, text } from "../data/table";
import type { MatchedList } from "../data/types";
import { integer, plural, probability, signed } from "../format";
import { ConceptLink } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";

const SHOWN = 20;

/** Weak concepts that no entry of the list names. */
export function Unnamed({ list }: { list: MatchedList }) {
  const run = useRun();
  const [all, setAll] = useState(false);
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
        <div className="compare-table" role="region" tabIndex={0} aria-label="Table of weak concepts">
          <table data-testid="unnamed">
            <thead>
              <tr>
                <th scope="col">concept</th>
                <th scope="col">gap</th>
                <th scope="col">q</th>
                <th scope="col">items</th>
              </tr>
            </thead>
            <tbody>
              {(all ? list.unnamed : list.unnamed.slice(0, SHOWN)).map((concept) => (
                <tr key={concept}>
                  <th scope="row">
                    <ConceptLink concept={concept} label={text(table.data, "label", concept)} />
                  </th>
                  <td>{signed(number(table.data, "gap", concept))}</td>
                  <td>{probability(number(table.data, "q_value", concept))}</td>
                  <td>{integer(number(table.data, "support", concept))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {list.unnamed.length > SHOWN && (
        <button type="button" className="link" onClick={() => setAll(!all)}>
          {all ? `Show ${SHOWN}` : `Show all ${integer(list.unnamed.length)}`}
        </button>
      )}
    </section>
  );
}
