import { useModel, useRun } from "../app/state";
import type { ItemDetail } from "../data/types";
import { decimal } from "../format";
import { shorten, visible } from "../text";
import { Rows } from "../ui/Rows";
import { LongText } from "./Texts";

/** What each model did on an item, where the run has the scores of several. */
export function EveryModel({ item }: { item: ItemDetail }) {
  const run = useRun();
  const place = useModel();
  if (item.models.length === 0) return null;
  const responses = item.models.some(({ response }) => response !== null);
  const reasons = item.models.some(({ unscored }) => unscored !== null);
  return (
    <>
      <h3>What every model did</h3>
      <Rows
        label="Scores of all models on the item"
        testId="item-models"
        rows={item.models.map((answer, i) => ({ ...answer, name: run.models[i] ?? "" }))}
        current={({ name }) => name === run.models[place ?? -1]}
        columns={[
          { name: "model", cell: ({ name }) => <bdi>{shorten(visible(name), 60)}</bdi> },
          { name: "score", cell: ({ score }) => decimal(score) },
          {
            name: "response",
            words: true,
            cell: responses
              ? ({ response }) => (response === null ? "" : <LongText text={response} none="None." />)
              : null,
          },
          {
            name: "why unscored",
            words: true,
            cell: reasons ? ({ unscored }) => (unscored === null ? "" : visible(unscored)) : null,
          },
        ]}
      />
    </>
  );
}
