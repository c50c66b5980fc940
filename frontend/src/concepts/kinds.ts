/** Kinds of concepts that are left out of rankings: they say what a text looks like, or nothing that has a name. */
import { type Table, text, value } from "../data/table";

/** The kind of a concept in a word; null: it is contextual, or its kind is not known. */
export function kindOf(table: Table, row: number): string | null {
  if (value(table, "alive", row) === false) return "never active";
  const kind = text(table, "kind", row);
  return kind === "contextual" ? null : kind;
}

/** Why a concept is not ranked, in a word; null: it is ranked. */
export function unranked(table: Table, row: number): string | null {
  return value(table, "ranked", row) === true ? null : kindOf(table, row);
}
