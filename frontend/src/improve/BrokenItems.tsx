import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { useRun } from "../app/state";
import { pageHas, useTable } from "../data/hooks";
import { numbers, type Table, text } from "../data/table";
import type { ImprovedItem, ItemDetail } from "../data/types";
import { decimal, integer, percent } from "../format";
import { Answers, Choices, ItemExample, LongText } from "../items/parts";
import { shorten, visible } from "../text";
import { Rows } from "../ui/Rows";
import { answersOf } from "./answers";
import "../concept/concept.css";
import "../items/items.css";

/** Items that look broken, most certain first; each expands to all models' answers. */
export function BrokenItems({ items, table }: { items: ImprovedItem[]; table: Table }) {
  const run = useRun();
  const [limit, setLimit] = useState(20);
  const shown = items.filter(({ row }) => pageHas(run, "item", row));
  const scores = useTable(run.models.length > 1 ? run.key : null, "scores.parquet").data;
  const means = useMemo(
    () => run.models.map((_, model) => (scores ? meanOf(numbers(scores, String(model))) : NaN)),
    [run, scores],
  );
  return (
    <>
      <ol className="broken-items" data-testid="broken-items">
        {shown.slice(0, limit).map((item, i) => (
          <BrokenItem
            key={item.row}
            item={item}
            name={text(table, "excerpt", item.row)}
            means={means}
            first={i === 0}
          />
        ))}
      </ol>
      {shown.length > limit && (
        <Button size="xs" variant="subtle" onClick={() => setLimit(shown.length)}>
          {integer(shown.length - limit)} more
        </Button>
      )}
    </>
  );
}

interface BrokenItemProps {
  item: ImprovedItem;
  name: string | null;
  means: number[];
  first: boolean;
}

function BrokenItem({ item: { row, chance, reason }, name, means, first }: BrokenItemProps) {
  const [open, setOpen] = useState(first);
  return (
    <li>
      <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <bdi>{shorten(visible(name ?? `item ${row}`), 110)}</bdi>
          <span className="soft">
            {Math.round(10 * (chance ?? 0))} of 10 such items are broken: {visible(reason)}
          </span>
        </summary>
        {open && (
          <ItemExample
            row={row}
            testId="broken-item"
            facts={() => null}
            texts={(item) => <ItemWithAnswers item={item} means={means} />}
          />
        )}
      </details>
    </li>
  );
}

/** The item, and all models' answers side by side. */
function ItemWithAnswers({ item, means }: { item: ItemDetail; means: number[] }) {
  const run = useRun();
  const names = (models: number[]) =>
    models
      .toSorted((a, b) => means[b]! - means[a]!)
      .map((model) => visible(run.models[model]!))
      .join(", ");
  const body = item.body && item.text ? [...item.text].slice(...item.body).join("") : item.text;
  return (
    <>
      {body !== null && <LongText text={body} none="" />}
      {item.choices ? (
        <Choices item={{ ...item, response: null, logprobs: [] }} />
      ) : (
        <Answers item={{ ...item, response: null }} />
      )}
      <Rows
        label="Answers of all models"
        testId="side-by-side"
        rows={answersOf(item)}
        columns={[
          {
            name: "answer",
            cell: ({ text, score, models }) => (
              <>
                <bdi>{visible(text ?? scoreWord(score))}</bdi>
                <div className="soft">
                  <bdi>{names(models)}</bdi>
                </div>
              </>
            ),
          },
          { name: "score", cell: ({ score }) => decimal(score) },
          { name: "models", cell: ({ models }) => integer(models.length) },
          {
            name: "their mean",
            hint: "Mean score, on all items, of the models that gave this answer",
            cell: ({ models }) => percent(meanOf(models.map((model) => means[model]!))),
          },
        ]}
      />
    </>
  );
}

const scoreWord = (score: number | null) => (score === null ? "no score" : score >= 0.5 ? "right" : "wrong");

function meanOf(values: ArrayLike<number>): number {
  const known = Array.from(values).filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
