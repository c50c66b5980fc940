/** Flags: why a concept is not ranked. */
import { type Table, value } from "../data/table";
import { FLAG_SHARES, type RunInfo } from "../data/types";
import { percent } from "../format";

/** Why a concept is not ranked, in the words of `flags=`. */
export const FLAGS = ["dense", "template", "exact_token", "dead"] as const;
export type Flag = (typeof FLAGS)[number];
export const FLAG_WORDS: Record<Flag, string> = {
  dense: "dense",
  template: "template",
  exact_token: "exact token",
  dead: "never active",
};

/** Why a concept is not ranked, in words; none: it is ranked. */
export function flagsOf(table: Table, row: number): string[] {
  if (value(table, "ranked", row) === true) return [];
  return FLAGS.filter((flag) => (flag === "dead" ? !value(table, "alive", row) : value(table, flag, row) === true)).map(
    (flag) => FLAG_WORDS[flag],
  );
}

/** Why a concept with the flag is no competency, with the run's own thresholds, as `docs/method.md` has it. */
export function flagMeanings(settings: RunInfo["settings"]): Record<Flag, string> {
  const set = new Map(settings);
  const share = (name: keyof typeof FLAG_SHARES) => {
    const given = Number(set.get(`metrics.${name}`));
    return percent(Number.isFinite(given) ? given : FLAG_SHARES[name]);
  };
  return {
    dense: `active on more than ${share("dense_above")} of all tokens, whatever the text`,
    template:
      `more than ${share("template_above")} of its activation is outside the item’s own text: ` +
      "chat template, instructions, examples",
    exact_token: `at least ${share("exact_token_above")} of its activation is on one and the same token`,
    dead: "active neither in this run nor in the reference text",
  };
}
