import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { useModel, useRun } from "../app/state";
import { characters, windowAround } from "../data/characters";
import { pageHas, useItemConcepts, useTable } from "../data/hooks";
import { text } from "../data/table";
import type { ItemDetail, SliceGap } from "../data/types";
import { decimal } from "../format";
import { type Activity, activityOf, NO_ACTIVITY } from "../items/activity";
import { Answers, answerOf, Choices, ItemExample, itemOf } from "../items/parts";
import { Excerpt } from "../ui/Tokens";
import type { Slice } from "./slices";
import "../items/items.css";
import "../concept/concept.css";

/** Characters of an item's text that an example shows. */
const ROOM = 900;
/** Of each side at first, as in a terminal. */
const SHOWN = 3;

interface SidesProps {
  gap: SliceGap;
  /** Whether it is against peers. */
  peers: boolean;
  /** The concept whose tokens are coloured. */
  concept: number | null;
}

/** Items that the model fails beside items that it passes. */
export function Sides({ gap: { failing, passing }, peers, concept }: SidesProps) {
  const [shown, setShown] = useState(SHOWN);
  const most = Math.max(failing.length, passing.length);
  if (most === 0) return null;
  return (
    <section aria-label="Failing and passing items">
      <h2>Failing and passing items</h2>
      {peers && <p className="soft">Items on which its peers do the opposite come first.</p>}
      <div className="sides" data-testid="sides">
        <Side title="Failing" tone="weak-text" rows={failing.slice(0, shown)} concept={concept} />
        <Side title="Passing" tone="strong-text" rows={passing.slice(0, shown)} concept={concept} />
      </div>
      {most > shown && (
        <Button size="xs" variant="subtle" onClick={() => setShown(most)} data-testid="more-sides">
          {most - shown} more of each
        </Button>
      )}
    </section>
  );
}

function Side({ title, tone, rows, concept }: { title: string; tone: string; rows: number[]; concept: number | null }) {
  return (
    <div>
      <h3 className={tone}>{title}</h3>
      {rows.map((row) => (
        <Example key={row} row={row} concept={concept} />
      ))}
      {rows.length === 0 && <p className="soft">None.</p>}
    </div>
  );
}

/** The items that are most like the slice, whatever the model did on them. */
export function Typical({ slice, concept }: { slice: Slice; concept: number | null }) {
  const run = useRun();
  const typical = slice.typical.filter((row) => pageHas(run, "item", row));
  if (typical.length === 0) return null;
  return (
    <section aria-label="Its most typical items">
      <h2>Its most typical items</h2>
      <div className="sides" data-testid="typical">
        {typical.map((row) => (
          <div key={row}>
            <Example row={row} concept={concept} />
          </div>
        ))}
      </div>
    </section>
  );
}

function Example({ row, concept }: { row: number; concept: number | null }) {
  const run = useRun();
  const model = useModel();
  return (
    <ItemExample
      row={row}
      testId="slice-example"
      facts={(item) => item && <span className="soft">score {decimal(answerOf(item, model).score)}</span>}
      texts={(item) =>
        item.text === null ? (
          <p className="soft">This page leaves out its texts.</p>
        ) : (
          <>
            {concept === null ? <ItemExcerpt item={item} /> : <ConceptExcerpt item={item} concept={concept} />}
            {item.choices && <Choices item={itemOf(item, model, run.model)} />}
            <Answers item={itemOf(item, model, run.model)} />
          </>
        )
      }
    />
  );
}

/** An item's own text, from where it differs from others of its benchmark. */
function ItemExcerpt({ item, activity = NO_ACTIVITY }: { item: ItemDetail; activity?: Activity }) {
  const run = useRun();
  const table = useTable(run.key, "items.parquet").data;
  const whole = useMemo(() => characters(item.text ?? ""), [item]);
  const ends: [number, number] = item.body ?? [0, whole.length];
  const [start, end] = ends;
  const excerpt = (table && text(table, "excerpt", item.item)) ?? "";
  // The table of items leaves out what all items of a benchmark begin with, and says so by an ellipsis.
  const begin = excerpt.startsWith("… ") ? whole.slice(start, end).indexOf(excerpt.slice(2, 40)) : 0;
  const first = start + Math.max(0, begin);
  const range: [number, number] = activity.peak
    ? windowAround(whole.length, activity.peak[0], ROOM)
    : [first, Math.min(end, first + ROOM)];
  return <Excerpt text={whole} range={range} ends={ends} activity={activity} />;
}

function ConceptExcerpt({ item, concept }: { item: ItemDetail; concept: number }) {
  const run = useRun();
  const active = useItemConcepts(run, item.item).data;
  const activity = useMemo(() => activityOf(active?.concepts ?? [], concept), [active, concept]);
  return <ItemExcerpt item={item} activity={activity} />;
}
