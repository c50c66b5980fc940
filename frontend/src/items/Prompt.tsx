import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { characters, pieces, windowAround } from "../data/characters";
import type { ItemDetail } from "../data/types";
import { integer } from "../format";
import { ActiveText } from "../ui/Tokens";
import type { Activity } from "./activity";

const FIRST = 3000;
const STEP = 12_000;

/** All that the model read, the item's own text in full ink; a window of it where it is long. */
export function Prompt({ item, activity: { peak, tokens, most } }: { item: ItemDetail; activity: Activity }) {
  const [room, setRoom] = useState(FIRST);
  const text = useMemo(() => characters(item.text ?? ""), [item]);
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (place.current && peak) scrollToPeak(place.current);
  }, [peak]);
  const [from, to] = windowAround(text.length, item.own?.[0] ?? null, room);
  const [ownFrom, ownTo] = item.own ?? [0, text.length];
  const inside = (at: number) => Math.max(from, Math.min(at, to));
  const cuts = [from, inside(ownFrom), inside(ownTo), to] as const;
  const before = from + (item.cut?.before ?? 0);
  const after = text.length - to + (item.cut?.after ?? 0);
  const part = (start: number, end: number, dimmed: boolean) =>
    end > start && (
      <span className={dimmed ? "around" : "own"}>
        <ActiveText pieces={pieces(text, start, end, tokens, peak)} most={most} />
      </span>
    );
  return (
    <div className="quote long-text" dir="auto" tabIndex={0} ref={place} data-testid="item-text">
      {before > 0 && <span className="soft">… {integer(before)} characters before … </span>}
      {part(cuts[0], cuts[1], true)}
      {part(cuts[1], cuts[2], false)}
      {part(cuts[2], cuts[3], true)}
      {after > 0 && <span className="soft"> … {integer(after)} characters after …</span>}
      {to - from < text.length && (
        <button type="button" className="link more" onClick={() => setRoom(room + STEP)}>
          Show more
        </button>
      )}
      {item.cut && <p className="soft">An exported explorer leaves out the ends of long texts.</p>}
    </div>
  );
}

/** Scrolls a text, and nothing around it, so far that its peak can be seen. */
function scrollToPeak(place: HTMLElement): void {
  const mark = place.querySelector(".peak")?.getBoundingClientRect();
  const box = place.getBoundingClientRect();
  if (mark && (mark.top < box.top || mark.bottom > box.bottom)) {
    place.scrollTop += mark.top - (box.top + box.height / 2);
  }
}
