import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { useRun } from "../app/state";
import { holds, useTable } from "../data/hooks";
import { numbers, type Table, text } from "../data/table";
import type { ImprovedItem, ItemDetail } from "../data/types";
import { decimal, integer, percent } from "../format";
import { Answers, Choices, ItemExample, LongText } from "../items/parts";
import { shorten, visible } from "../text";
import { Rows } from "../ui/Rows";
import { answersOf } from "./answers";
import "../concept/concept.css";
import "../items/items.css";

/** Items that look broken, the surest first; each opens to what all models answered. */
export function Suspects({ items, table }: { items: ImprovedItem[]; table: Table }) {
  const run = useRun();
  const [room, setRoom] = useState(20);
  const shown = items.filter(({ row }) => holds(run, "item", row));
  const scores = useTable(run.models.length > 1 ? run.key : null, "scores.parquet").data;
  const means = useMemo(
    () => run.models.map((_, place) => (scores ? meanOf(numbers(scores, String(place))) : NaN)),
    [run, scores],
  );
  return (
    <>
      <ol className="suspects" data-testid="suspects">
        {shown.slice(0, room).map((item, i) => (
          <Suspect key={item.row} item={item} name={text(table, "excerpt", item.row)} means={means} first={i === 0} />
        ))}
      </ol>
      {shown.length > room && (
        <Button size="xs" variant="subtle" onClick={() => setRoom(shown.length)}>
          {integer(shown.length - room)} more
        </Button>
      )}
    </>
  );
}

interface SuspectProps {
  item: ImprovedItem;
  name: string | null;
  means: number[];
  first: boolean;
}

function Suspect({ item: { row, chance, reason }, name, means, first }: SuspectProps) {
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
            testId="suspect"
            facts={() => null}
            texts={(item) => <Beside item={item} means={means} />}
          />
        )}
      </details>
    </li>
  );
}

/** The item, and all models' answers side by side. */
function Beside({ item, means }: { item: ItemDetail; means: number[] }) {
  const run = useRun();
  const names = (models: number[]) =>
    models
      .toSorted((a, b) => means[b]! - means[a]!)
      .map((place) => visible(run.models[place]!))
      .join(", ");
  const own = item.body && item.text ? [...item.text].slice(...item.body).join("") : item.text;
  return (
    <>
      {own !== null && <LongText text={own} none="" />}
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
            cell: ({ said, score, models }) => (
              <>
                <bdi>{visible(said ?? scored(score))}</bdi>
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
            cell: ({ models }) => percent(meanOf(models.map((place) => means[place]!))),
          },
        ]}
      />
    </>
  );
}

const scored = (score: number | null) => (score === null ? "no score" : score >= 0.5 ? "right" : "wrong");

function meanOf(values: ArrayLike<number>): number {
  const known = Array.from(values).filter((value) => !Number.isNaN(value));
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}
