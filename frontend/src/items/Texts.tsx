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

const MOST = 100;

/** A value that a tool left with an item, as a list of lists. */
export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  if (typeof value === "string") return <LongText text={value} none="" />;
  if (value === null || typeof value !== "object") return <code>{String(value)}</code>;
  const entries = Object.entries(value);
  if (entries.length === 0) return <span className="soft">{Array.isArray(value) ? "(empty list)" : "(empty)"}</span>;
  // Whoever nests deeper than this wants to make the page stumble.
  if (depth > 6) return <span className="soft">… (nested too deep to show)</span>;
  return (
    <dl className="json">
      {entries.slice(0, MOST).map(([key, inner]) => (
        <div key={key}>
          <dt>{visible(key)}</dt>
          <dd>
            <Json value={inner} depth={depth + 1} />
          </dd>
        </div>
      ))}
      {entries.length > MOST && (
        <div>
          <dt>…</dt>
          <dd className="soft">{entries.length - MOST} more</dd>
        </div>
      )}
    </dl>
  );
}
