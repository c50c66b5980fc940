import { useRun } from "../app/state";
import type { ItemDetail } from "../data/types";
import { decimal } from "../format";
import { shorten, visible } from "../text";
import { LongText } from "./Texts";

/** What each model did on an item, where the run has the scores of several. */
export function EveryModel({ item }: { item: ItemDetail }) {
  const run = useRun();
  if (item.models.length === 0) return null;
  const responses = item.models.some(({ response }) => response !== null);
  const reasons = item.models.some(({ unscored }) => unscored !== null);
  return (
    <>
      <h3>What every model did</h3>
      <div
        className="compare-table every-model"
        role="region"
        tabIndex={0}
        aria-label="Scores of all models on the item"
      >
        <table data-testid="item-models">
          <thead>
            <tr>
              <th scope="col">model</th>
              <th scope="col">score</th>
              {responses && <th scope="col">response</th>}
              {reasons && <th scope="col">why unscored</th>}
            </tr>
          </thead>
          <tbody>
            {item.models.map(({ score, response, unscored }, i) => (
              <tr key={run.models[i]} aria-current={run.models[i] === run.scored.model ? "true" : undefined}>
                <th scope="row">
                  <bdi>{shorten(visible(run.models[i] ?? ""), 60)}</bdi>
                </th>
                <td>{decimal(score)}</td>
                {responses && <td>{response === null ? "" : <LongText text={response} none="None." />}</td>}
                {reasons && <td>{unscored === null ? "" : visible(unscored)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
