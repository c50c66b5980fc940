import { type Table, text, value } from "../data/table";
import { shorten, visible } from "../text";
import { ConceptName } from "../ui/Marks";
import { kindOf } from "./kinds";

/** A concept's number and label, with a warning if nobody checked the label; without a label, the token it peaks on. */
export function LabelCell({ table, row }: { table: Table; row: number }) {
  const label = text(table, "label", row);
  const kind = kindOf(table, row);
  return (
    <span className="label-cell" title={label ? shorten(visible(label), 300) : undefined}>
      <ConceptName concept={row} label={label} token={text(table, "peak_token", row)} limit={120} />
      {kind && (
        <span
          className="badge"
          title={value(table, "ranked", row) === true ? "Not about what a text is about" : "Not ranked, so no verdict"}
        >
          {kind}
        </span>
      )}
      {label && text(table, "label_kind", row) === "automatic" && (
        <span className="badge auto" title="Built from words of its examples; nobody has checked it">
          auto
        </span>
      )}
    </span>
  );
}

export function labelText(table: Table, row: number): string {
  return `${row} ${visible(text(table, "label", row) ?? "no label")}`;
}
