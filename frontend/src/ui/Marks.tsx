/** Labels and links of concepts and items, and verdicts. */

import type { ReactNode } from "react";
import { go } from "../app/route";
import { useRun } from "../app/state";
import { pageHas } from "../data/hooks";
import { decimal, points } from "../format";
import { shorten, shownToken, visible } from "../text";

const WORDS = new Map([
  ["failure", "goes with failure"],
  ["success", "goes with success"],
  ["missing", "missing"],
  ["under", "under-covered"],
  ["over", "over-covered"],
  ["negligible", "negligible"],
]);

/** A verdict in words. */
export const statusWord = (status: string): string => WORDS.get(status) ?? visible(status);

/** A coloured verdict, such as `failure` or `missing`. */
export function Status({ status }: { status: string | null }) {
  if (!status) return <span className="soft">N/A</span>;
  return <span className={`status ${WORDS.has(status) ? status : "typical"}`}>{statusWord(status)}</span>;
}

/** A concept's number and label; a button that opens its panel if this page includes it. */
export function ConceptLink({ concept, label, limit = 90 }: { concept: number; label: string | null; limit?: number }) {
  if (!pageHas(useRun(), "concept", concept)) return <ConceptName concept={concept} label={label} limit={limit} />;
  return (
    <button type="button" className="link" onClick={() => go({ params: { concept, item: null } })}>
      <ConceptName concept={concept} label={label} limit={limit} />
    </button>
  );
}

interface NameProps {
  label: string | null;
  /** The token with its strongest activation. */
  token?: string | null;
  limit?: number;
}

/** A concept's number and name. */
export function ConceptName({ concept, ...name }: NameProps & { concept: number }) {
  return (
    <>
      <span className="number-of">{concept}</span> <LabelName {...name} />
    </>
  );
}

/** A concept's label; without one, its peak token if known. */
export function LabelName({ label, token = null, limit = 90 }: NameProps) {
  if (label) return <bdi>{shorten(visible(label), limit)}</bdi>;
  return (
    <span className="soft">
      no label
      {token && (
        <>
          , peaks on <bdi>“{shownToken(shorten(token, 40))}”</bdi>
        </>
      )}
    </span>
  );
}

/** A value with its interval: `0.42 [0.31, 0.55]`. */
export function Measured({
  kind,
  value,
  low,
  high,
}: {
  kind: "decimal" | "points";
  value: number | null;
  low: number | null;
  high: number | null;
}) {
  const write = (value: number | null) => (kind === "points" ? points(value) : decimal(value));
  return (
    <span className="measured">
      {write(value)}
      {value !== null && low !== null && high !== null && (
        <span className="soft">
          {" "}
          [{write(low)}, {write(high)}]
        </span>
      )}
    </span>
  );
}

/** A button that opens an item's panel; plain text if this page does not include the item. */
export function ItemLink({ row, className = "", children }: { row: number; className?: string; children: ReactNode }) {
  if (!pageHas(useRun(), "item", row)) return <span className={className}>{children}</span>;
  return (
    <button type="button" className={`link ${className}`} onClick={() => go({ params: { item: row } })}>
      {children}
    </button>
  );
}
