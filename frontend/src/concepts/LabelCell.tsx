import { number, type Table, text } from "../data/table";
import { decimal } from "../format";
import { shorten, shownToken, visible } from "../text";
import { flagsOf } from "./filters";

/** Below this a detection or fuzzing score speaks against the label (0.5 is chance). */
const POOR = 0.6;

/** A concept's number, its label, and what one should know of the label. Without a label, the token that it stands on. */
export function LabelCell({ table, row }: { table: Table; row: number }) {
  const label = text(table, "label", row);
  const token = text(table, "peak_token", row);
  return (
    <span className="label-cell" title={label ? shorten(visible(label), 300) : undefined}>
      <span className="number-of">{row}</span>
      {label ? (
        <bdi>{shorten(visible(label), 120)}</bdi>
      ) : (
        <span className="soft">
          {token ? (
            <>
              no label, peaks on <bdi>“{shownToken(shorten(token, 40))}”</bdi>
            </>
          ) : (
            "no label"
          )}
        </span>
      )}
      {flagsOf(table, row).map((flag) => (
        <span key={flag} className="badge" title="Not ranked: no verdict counts it">
          {flag}
        </span>
      ))}
      {label && text(table, "label_kind", row) === "automatic" && (
        <span className="badge auto" title="Words of its examples that nobody checked">
          auto
        </span>
      )}
      {label && isDoubtful(table, row) && (
        <span
          className="badge doubtful"
          title={`Its ${text(table, "label_scored_by", row)} score is ${decimal(number(table, "label_score", row))}; 0.5 is chance`}
        >
          doubtful
        </span>
      )}
    </span>
  );
}

function isDoubtful(table: Table, row: number): boolean {
  const score = number(table, "label_score", row);
  return score !== null && score < POOR && ["detection", "fuzzing"].includes(text(table, "label_scored_by", row) ?? "");
}

export function labelText(table: Table, row: number): string {
  return `${row} ${visible(text(table, "label", row) ?? "no label")}`;
}
