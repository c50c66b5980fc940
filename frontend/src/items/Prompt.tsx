import { useMemo, useState } from "react";
import { characters, pieces, windowAround } from "../data/characters";
import type { ItemDetail } from "../data/types";
import { integer } from "../format";
import { ActiveText } from "../ui/Tokens";

const FIRST = 3000;
const STEP = 12_000;

/** How a concept is active in a text. */
export interface Activity {
  peak: [number, number] | null;
  /** Ranges with activations; empty where only the peak is known. */
  tokens: [number, number, number][];
  /** The activation of the deepest colour. */
  most: number;
}

export const NO_ACTIVITY: Activity = { peak: null, tokens: [], most: 0 };

/** All that the model read, the item's own text in full ink; a window of it where it is long. */
export function Prompt({ item, activity: { peak, tokens, most } }: { item: ItemDetail; activity: Activity }) {
  const [room, setRoom] = useState(FIRST);
  const text = useMemo(() => characters(item.text ?? ""), [item]);
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
    <div className="quote long-text" dir="auto" tabIndex={0} data-testid="item-text">
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
