import { type ReactNode, useState } from "react";
import { useRun } from "../app/state";
import { useItem } from "../data/hooks";
import type { ItemDetail } from "../data/types";
import { decimal, integer } from "../format";
import { shorten, visible } from "../text";
import { ItemLink } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";

/** Characters of an answer or a choice that are shown. */
const MAX_CHARACTERS = 240;

interface ExampleProps {
  row: number;
  testId: string;
  /** Content before the name of the benchmark. */
  lead?: ReactNode;
  /** Content after it. */
  facts: (item: ItemDetail | null) => ReactNode;
  texts: (item: ItemDetail) => ReactNode;
}

/** An item in a list of examples: a line of facts with a link to its panel, and its texts. */
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
      {!item.data && !item.error && <Loading name="the item" />}
      {item.data && texts(item.data)}
    </div>
  );
}

/** A model's answer to an item; the run's own model if there are no others. */
export const answerOf = (item: ItemDetail, model: number | null): Pick<ItemDetail, "score" | "response" | "unscored"> =>
  item.models[model ?? -1] ?? item;

/** An item with one model's answer. Only the run's main model has log-probabilities and scoring details. */
export const itemOf = (item: ItemDetail, model: number | null, mainModel: number): ItemDetail => ({
  ...item,
  ...answerOf(item, model),
  ...(item.models.length === 0 || model === mainModel ? {} : { logprobs: [], details: null }),
});

/** The response and the expected answer, if known. */
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
            <bdi className="quote">{shorten(visible(text), MAX_CHARACTERS)}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/**
 * The options of a question: the right one and the given one are marked, with log-probabilities (nats) where the run
 * has them.
 */
export function Choices({ item: { choices, answer_index, response, logprobs, scorer } }: { item: ItemDetail }) {
  if (!choices) return null;
  const numbered = scorer === "choice" && logprobs.length === choices.length;
  return (
    <ol className="choices" type="A" data-testid="choices">
      {choices.map((choice, i) => (
        <li key={i} className={i === answer_index ? "right" : undefined}>
          <bdi>{shorten(visible(choice), MAX_CHARACTERS)}</bdi>
          {i === answer_index && <span className="mark-right"> ✓ right</span>}
          {response !== null && choice === response && (
            <span className={i === answer_index ? "mark-right" : "mark-given"}> ← given</span>
          )}
          {numbered && <span className="soft"> {decimal(logprobs[i])}</span>}
        </li>
      ))}
    </ol>
  );
}

/** Characters of a long text that are shown at first, and that are added. */
const FIRST_CHARACTERS = 2000;
const MORE_CHARACTERS = 10_000;

/** A text that expands in steps, so that a megabyte does not freeze the page. */
export function LongText({ text, none }: { text: string | null; none: string }) {
  const [limit, setLimit] = useState(FIRST_CHARACTERS);
  if (text === null) return <p className="soft">{none}</p>;
  return (
    <div className="quote long-text" dir="auto" tabIndex={0}>
      {text === "" ? <span className="soft">(empty)</span> : visible(shorten(text, limit))}
      {text.length > limit && (
        <button type="button" className="link more" onClick={() => setLimit(limit + MORE_CHARACTERS)}>
          Show more ({integer(text.length - limit)} characters)
        </button>
      )}
    </div>
  );
}

const MAX_ENTRIES = 100;

/** A JSON value as nested lists. */
export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  if (typeof value === "string") return <LongText text={value} none="" />;
  if (value === null || typeof value !== "object") return <code>{String(value)}</code>;
  const entries = Object.entries(value);
  if (entries.length === 0) return <span className="soft">{Array.isArray(value) ? "(empty list)" : "(empty)"}</span>;
  // Deeper nesting would only be meant to break the page.
  if (depth > 6) return <span className="soft">… (nested too deep to show)</span>;
  return (
    <dl className="json">
      {entries.slice(0, MAX_ENTRIES).map(([key, inner]) => (
        <div key={key}>
          <dt>{visible(key)}</dt>
          <dd>
            <Json value={inner} depth={depth + 1} />
          </dd>
        </div>
      ))}
      {entries.length > MAX_ENTRIES && (
        <div>
          <dt>…</dt>
          <dd className="soft">{entries.length - MAX_ENTRIES} more</dd>
        </div>
      )}
    </dl>
  );
}
