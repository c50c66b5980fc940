import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { characters, pieces, windowAround } from "../data/characters";
import { useTable } from "../data/hooks";
import { text } from "../data/table";
import type { ActiveConcept, ItemDetail } from "../data/types";
import { decimal, integer, magnitude } from "../format";
import { Term } from "../ui/Facts";
import { ConceptLink, ConceptName, Status } from "../ui/Marks";
import { ActiveText } from "../ui/Tokens";
import type { Activity } from "./activity";

/** Concepts that are listed at first. */
const FIRST = 20;

interface ActiveConceptsProps {
  concepts: ActiveConcept[];
  /** Number of concepts active in the item, listed or not. */
  active: number;
  /** Whether there is a text whose tokens a concept can colour. */
  colours: boolean;
  /** The concept that the item was opened from. */
  opener: number | null;
  chosen: number | null;
  onChoose: (concept: number | null) => void;
  /** Called with null when the pointer leaves. */
  onPoint: (concept: number | null) => void;
}

/** The concepts active in an item. Pointing at one or choosing it colours its tokens. */
export function ActiveConcepts({ concepts, active, colours, opener, chosen, onChoose, onPoint }: ActiveConceptsProps) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet").data;
  const [all, setAll] = useState(false);
  const shown = all ? concepts : concepts.slice(0, FIRST);
  const choose = (concept: number) => {
    onPoint(null);
    onChoose(chosen === concept ? null : concept);
  };
  return (
    <>
      <p className="soft">
        Ordered by <Term term="saliency">saliency</Term>, then by <Term term="cas">CAS</Term>
        {opener !== null && "; the concept you came from is first"}.{" "}
        {colours && "Point at a concept or choose it to colour the tokens on which it is active. "}
        {concepts.length < active &&
          `This export has ${concepts.length} of the ${integer(active)} concepts, with the strongest tokens of each.`}
      </p>
      <ul className="active-concepts" data-testid="item-concepts" onBlur={() => onPoint(null)}>
        {shown.map(({ concept, cas, saliency }) => {
          const label = table && text(table, "label", concept);
          return (
            <li
              key={concept}
              onPointerEnter={(event) => event.pointerType === "mouse" && onPoint(concept)}
              onPointerLeave={(event) => event.pointerType === "mouse" && onPoint(null)}
              onFocus={() => onPoint(concept)}
            >
              {colours ? (
                <button
                  type="button"
                  className="colours"
                  aria-pressed={chosen === concept}
                  onClick={() => choose(concept)}
                >
                  <ConceptName concept={concept} label={label} />
                </button>
              ) : (
                <ConceptLink concept={concept} label={label} />
              )}
              {table && <Status status={text(table, "performance_status", concept)} />}
              <span className="soft">
                saliency {decimal(saliency)}, CAS {magnitude(cas)}
              </span>
              {colours && (
                <button
                  type="button"
                  className="link"
                  aria-label={`Open concept ${concept}`}
                  onClick={() => go({ params: { concept, item: null } })}
                >
                  Open
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {shown.length < concepts.length && (
        <button type="button" className="link" onClick={() => setAll(true)}>
          Show all {integer(concepts.length)}
        </button>
      )}
    </>
  );
}

/** Characters of a text that are shown at first, and that are added. */
const LENGTH = 3000;
const STEP = 12_000;

/** Fields of an item that its text needs. */
type ReadText = Pick<ItemDetail, "text" | "body" | "cut">;

/** The prompt that the model read, with everything but the item's body dimmed; a window of it if it is long. */
export function Prompt({ item, activity: { peak, tokens, most } }: { item: ReadText; activity: Activity }) {
  const [room, setRoom] = useState(LENGTH);
  const whole = useMemo(() => characters(item.text ?? ""), [item]);
  const frame = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (frame.current && peak) scrollToPeak(frame.current);
  }, [peak]);
  const [from, to] = windowAround(whole.length, item.body?.[0] ?? null, room);
  const [bodyFrom, bodyTo] = item.body ?? [0, whole.length];
  const clamped = (at: number) => Math.max(from, Math.min(at, to));
  const cuts = [from, clamped(bodyFrom), clamped(bodyTo), to] as const;
  const before = from + (item.cut?.[0] ?? 0);
  const after = whole.length - to + (item.cut?.[1] ?? 0);
  const part = (start: number, end: number, dimmed: boolean) =>
    end > start && (
      <span className={dimmed ? "around" : undefined}>
        <ActiveText pieces={pieces(whole, start, end, tokens, peak)} most={most} />
      </span>
    );
  return (
    <div className="quote long-text" dir="auto" tabIndex={0} ref={frame} data-testid="item-text">
      {before > 0 && <span className="soft">… {integer(before)} characters before … </span>}
      {part(cuts[0], cuts[1], true)}
      {part(cuts[1], cuts[2], false)}
      {part(cuts[2], cuts[3], true)}
      {after > 0 && <span className="soft"> … {integer(after)} characters after …</span>}
      {to - from < whole.length && (
        <button type="button" className="link more" onClick={() => setRoom(room + STEP)}>
          Show more
        </button>
      )}
      {item.cut && <p className="soft">An exported page leaves out the ends of long texts.</p>}
    </div>
  );
}

/** Scroll a text so that its peak is visible, without scrolling the page. */
function scrollToPeak(frame: HTMLElement): void {
  const mark = frame.querySelector(".peak")?.getBoundingClientRect();
  const box = frame.getBoundingClientRect();
  if (mark && (mark.top < box.top || mark.bottom > box.bottom)) {
    frame.scrollTop += mark.top - (box.top + box.height / 2);
  }
}
