import { useComputedColorScheme } from "@mantine/core";
import { type Characters, type Piece, pieces } from "../data/characters";
import { magnitude } from "../format";
import type { Activity } from "../items/activity";
import { visible } from "../text";
import "./tokens.css";

/** A text with its tokens coloured by activation, `most` being the deepest colour. The peak is outlined. */
export function ActiveText({ pieces, most }: { pieces: Piece[]; most: number }) {
  const dark = useComputedColorScheme("light") === "dark";
  return (
    <>
      {pieces.map((piece, i) => {
        if (piece.activation === null) return <span key={i}>{visible(piece.text)}</span>;
        const known = !Number.isNaN(piece.activation);
        const share = known && most > 0 ? Math.min(1, piece.activation / most) : 0;
        return (
          <mark
            key={i}
            className={piece.peak ? "token peak" : "token"}
            style={share > 0 ? { background: shade(share, dark) } : undefined}
            title={known ? `activation ${magnitude(piece.activation)}` : "the token where it is strongest"}
          >
            {visible(piece.text)}
          </mark>
        );
      })}
    </>
  );
}

interface ExcerptProps {
  text: Characters;
  /** The part of the text that is shown, in characters. */
  range: [number, number];
  /** Where the text begins and ends; an ellipsis marks what is cut. */
  ends?: [number, number];
  activity: Activity;
}

/** A part of a text with its tokens coloured. */
export function Excerpt({ text, range: [from, to], ends = [0, text.length], activity }: ExcerptProps) {
  return (
    <div className="quote prompt" dir="auto">
      {from > ends[0] && "… "}
      <ActiveText pieces={pieces(text, from, to, activity.tokens, activity.peak)} most={activity.most} />
      {to < ends[1] && " …"}
    </div>
  );
}

/** A shade of amber on which text stays readable. */
function shade(share: number, dark: boolean): string {
  return dark
    ? `rgba(214, 158, 46, ${(0.1 + 0.32 * share).toFixed(3)})`
    : `rgba(255, 178, 44, ${(0.15 + 0.75 * share).toFixed(3)})`;
}
