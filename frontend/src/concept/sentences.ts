/** What is to be said of a concept, in sentences with their numbers. */
import { unranked } from "../concepts/table";
import { number, type Table, text, value } from "../data/table";
import type { RunInfo } from "../data/types";
import { decimal, magnitude, percent, plural, points, probability, signed, tenths } from "../format";

/** Says of a sentence what it is about, where that is not plain. */
export function about(subject: string, sentence: string): string {
  return `${subject}: ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
}

/**
 * The verdict within one benchmark, whose values `table` has; null: what the whole suite says is all there is to say.
 *
 * `name`: the benchmark's.
 */
export function verdictWithin(run: RunInfo, table: Table, row: number, name: string): string | null {
  // Never active, missing or not ranked: so it is in every benchmark.
  if (value(table, "ranked", row) !== true || value(table, "missing", row) === true) return null;
  if ((number(table, "support", row) ?? 0) === 0) return `In ${name}: no item activates the concept.`;
  return about(`In ${name}`, verdict(run, table, row));
}

/** Whether the run has a reference text to compare activation with. */
export const hasLift = (run: RunInfo): boolean => run.columns.some(({ key }) => key === "lift");

/** The verdict on the model's performance where the concept is active. */
export function verdict(run: RunInfo, table: Table, row: number): string {
  const status = text(table, "performance_status", row);
  const support = number(table, "support", row) ?? 0;
  const size = `active in ${plural(support, "item")}, n_eff ${tenths(number(table, "n_eff", row))}`;
  const [at, low, high] = ["association", "association_low", "association_high"].map((key) =>
    points(number(table, key, row)),
  );
  const q = `q = ${probability(number(table, "q_value", row))}`.replace("= <", "< ");
  const association = `${at} points [${low}, ${high}] (${q}; ${size})`;
  const others = run.evidence.alike
    ? `other items of the same benchmark ${run.evidence.alike}`
    : "other items of the same benchmark";
  if (status === "failure" || status === "success") {
    return `It goes with ${status}. Association, beside ${others}: ${association}.`;
  }
  if (status === "negligible")
    return `Its association is smaller than ${decimal(100 * run.evidence.min_association, 1)} points: ${association}.`;
  if (status === "typical") return `No evidence that it goes with failure or success: association ${association}.`;
  if (status === "insufficient") {
    const [has, needs] = [number(table, "n_eff", row), run.evidence.min_n_eff].map(tenths);
    const worth = `active in ${plural(support, "item")}, worth ${has} equally weighted items (n_eff)`;
    return `Too little data to test: ${worth}; a test needs ${needs}.`;
  }
  return untested(table, row, support);
}

function untested(table: Table, row: number, support: number): string {
  if (value(table, "alive", row) !== true)
    return "Never active, neither in this run nor in the reference text, so nothing can be said about it.";
  if (value(table, "missing", row) === true) {
    return "Missing: no item of the suite activates it, so nothing can be said about the model’s performance.";
  }
  if (value(table, "ranked", row) !== true) {
    const kind = unranked(table, row);
    const form =
      kind === "mixed"
        ? "its strongest texts have no common meaning"
        : "it stands for what a text looks like, not for what it is about";
    return `Not tested because of its kind (${kind}): ${form}. Active in ${plural(support, "item")}.`;
  }
  const where = `the ${plural(support, "item")} in which it is active`;
  return `Not tested: none of ${where} has a score, or their scores do not vary.`;
}

/** How the suite covers the concept. */
export function coverage(run: RunInfo, table: Table, row: number): string {
  const density = number(table, "density", row);
  const tokens = hasLift(run) ? "the reference text" : "a sample of the run";
  const where = density === null ? "" : ` It is active on ${percent(density, 1)} of the tokens of ${tokens}.`;
  if (value(table, "missing", row) === true) {
    const chance = number(table, "chance_seen", row);
    const news =
      chance === null
        ? ""
        : chance > 0.95
          ? ` Reference text of the same length would almost certainly activate it (${percent(chance)}).`
          : ` Reference text of the same length would activate it with probability ${percent(chance)}.`;
    return `The suite does not test it.${news}${where}`;
  }
  const bench = number(table, "chi_bench", row);
  if (bench === null || value(table, "alive", row) !== true) return `Its coverage is not defined.${where}`;
  const lift = number(table, "lift", row);
  const size = lift === null ? "" : `${decimal(2 ** Math.abs(lift), 1)} times ${lift < 0 ? "smaller" : "larger"}`;
  const sentence =
    lift === null
      ? ""
      : lift === Infinity
        ? " It is never active in the reference text."
        : ` Its share of activation is ${size} here than in the reference text (lift ${signed(lift)}).`;
  const judged = text(table, "coverage_status", row) ?? "not judged";
  return `Coverage ${magnitude(bench)} (1 = mean over alive concepts), ${judged}.${sentence}${where}`;
}

/** How many of its items are drawn, and what is not. */
export function examplesNote(run: RunInfo, hasTokens: boolean): string {
  if (run.redacted) return "This page leaves out prompts and responses, but shows scores and activations.";
  if (hasTokens) return "Tokens are coloured by the concept’s activation; the strongest is outlined.";
  return run.has_tokens
    ? "Only the strongest token is outlined: token activations were not kept for these items."
    : "This run kept no token activations, so only the strongest token is outlined.";
}
