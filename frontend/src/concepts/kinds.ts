/** Kinds of concepts that are left out of rankings: they say what a text looks like, or nothing that has a name. */
import { type Table, text, value } from "../data/table";
import { KIND_SHARES, type RunInfo } from "../data/types";
import { decimal, percent } from "../format";

/** Kinds that are left out of rankings, in the words of `kinds=`; `dead`: never active. */
export const KINDS = ["mixed", "token", "format", "position", "template", "dense", "dead"] as const;
export type Kind = (typeof KINDS)[number];
export const KIND_WORDS = Object.fromEntries(
  KINDS.map((kind) => [kind, kind === "dead" ? "never active" : kind]),
) as Record<Kind, string>;

/** The kind of a concept in a word; null: it is contextual, or its kind is not known. */
export function kindOf(table: Table, row: number): string | null {
  if (value(table, "alive", row) === false) return KIND_WORDS.dead;
  const kind = text(table, "kind", row);
  return kind === "contextual" ? null : kind;
}

/** Why a concept is not ranked, in a word; null: it is ranked. */
export function unranked(table: Table, row: number): string | null {
  return value(table, "ranked", row) === true ? null : kindOf(table, row);
}

/** What concepts of a kind are, with the run's own thresholds, as `docs/method.md` has it. */
export function kindMeanings(settings: RunInfo["settings"]): Record<Kind, string> {
  const set = new Map(settings);
  const setting = (name: keyof typeof KIND_SHARES) => {
    const given = Number(set.get(`metrics.${name}`));
    return Number.isFinite(given) ? given : KIND_SHARES[name];
  };
  const share = (name: keyof typeof KIND_SHARES) => percent(setting(name));
  return {
    mixed:
      "the texts in which it is strongest have no meaning in common: " +
      `a coherence below ${decimal(setting("mixed_below"))}`,
    token:
      `the token explains more than ${share("lexical_above")} of how its activation varies, ` +
      `or with the token before it more than ${share("pair_above")}, or ` +
      `at least ${share("exact_token_above")} of its activation is on one and the same token`,
    format:
      `more than ${share("format_above")} of its activation is on punctuation, white space, digits and ` +
      `symbols of markup (${share("stretch_format_above")} if the SAE averages over tokens)`,
    position: `more than ${share("position_above")} of its activation is on the first tokens of texts`,
    template:
      `more than ${share("template_above")} of its activation is outside the item’s own text: ` +
      "chat template, instructions, examples",
    dense: `active on more than ${share("dense_above")} of all tokens, whatever the text`,
    dead: "active neither in this run nor in the reference text",
  };
}
