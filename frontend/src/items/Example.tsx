import type { ReactNode } from "react";
import { useRun } from "../app/state";
import { useItem } from "../data/hooks";
import type { ItemDetail } from "../data/types";
import { shorten, visible } from "../text";
import { ItemLink } from "../ui/ItemLink";
import { Failed, Loading } from "../ui/State";

/** Characters of an answer that an example shows. */
const ROOM = 240;

interface ExampleProps {
  row: number;
  testId: string;
  /** What stands before the name of its benchmark. */
  lead?: ReactNode;
  /** What stands behind it. */
  facts: (item: ItemDetail | null) => ReactNode;
  texts: (item: ItemDetail) => ReactNode;
}

/** An item among others: a line of facts with a way to open it, and its texts. */
export function ItemExample({ row, testId, lead, facts, texts }: ExampleProps) {
  const run = useRun();
  const item = useItem(run, row);
  return (
    <div className="example" data-testid={testId}>
      <p className="example-head">
        {lead}
        {item.data && <bdi className="soft">{visible(run.benchmarks[item.data.benchmark]!.name)}</bdi>}
        {facts(item.data)}
        <ItemLink row={row}>Open item</ItemLink>
      </p>
      {item.error && <Failed error={item.error} />}
      {!item.data && !item.error && <Loading what="the item" />}
      {item.data && texts(item.data)}
    </div>
  );
}

/** What a model did on an item: of several the one at a place, else the run's own. */
export const answerOf = (item: ItemDetail, place: number | null): Pick<ItemDetail, "score" | "response" | "unscored"> =>
  item.models[place ?? -1] ?? item;

/** The item as it shows what one model did; what the scorer kept besides is of the run's own model, at `own`. */
export const itemOf = (item: ItemDetail, place: number | null, own: number): ItemDetail => ({
  ...item,
  ...answerOf(item, place),
  ...(item.models.length === 0 || place === own ? {} : { logprobs: [], details: null }),
});

/** What the model answered, and what was expected, as far as they are known. */
export function Answers({ item }: { item: ItemDetail }) {
  const answers = (["response", "answer"] as const).flatMap((key) => {
    const text = item[key];
    return text === null ? [] : [{ name: key === "answer" ? "Expected" : "Response", text }];
  });
  return (
    <dl className="answers">
      {answers.map(({ name, text }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <bdi className="quote">{shorten(visible(text), ROOM)}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}
