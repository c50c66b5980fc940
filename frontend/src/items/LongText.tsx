import { useState } from "react";
import { integer } from "../format";
import { shorten, visible } from "../text";

const FIRST = 2000;
const STEP = 10_000;

/** A text of any length; a long one is shown in steps, so that a megabyte does not freeze the page. */
export function LongText({ text, none }: { text: string | null; none: string }) {
  const [limit, setLimit] = useState(FIRST);
  if (text === null) return <p className="soft">{none}</p>;
  return (
    <div className="quote long-text" dir="auto" tabIndex={0}>
      {text === "" ? <span className="soft">(empty)</span> : visible(shorten(text, limit))}
      {text.length > limit && (
        <button type="button" className="link more" onClick={() => setLimit(limit + STEP)}>
          Show more ({integer(text.length - limit)} characters)
        </button>
      )}
    </div>
  );
}
