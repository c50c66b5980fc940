import { visible } from "../text";
import { LongText } from "./LongText";

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
      {entries.slice(0, MOST).map(([key, one]) => (
        <div key={key}>
          <dt>{visible(key)}</dt>
          <dd>
            <Json value={one} depth={depth + 1} />
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
