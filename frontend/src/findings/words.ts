/** The figures of a finding in words. Its sentence comes from Python, as the terminal and the report have it. */
import { type Finding, MAIN_SHARE, type RunInfo } from "../data/types";
import { decimal, integer, percent, plural, signed } from "../format";

/** A mean of its items: a share of right answers, a mean score where answers get parts of a point, or a difference. */
export function level(mean: number | null, unit: Finding["unit"]): string {
  if (unit === "right" || unit === "parsed") return percent(mean);
  return unit === "score" ? decimal(mean) : signed(mean);
}

/** What a finding's means are. */
export const UNIT: Record<Finding["unit"], string> = {
  right: "Right",
  score: "Mean score",
  parsed: "Parsed",
  peers: "Against peers",
  difference: "Difference",
};

export const interval = (low: number | null, high: number | null): string => `[${signed(low)}, ${signed(high)}]`;

export const TONE = { true: "good", false: "bad", null: "open" } as const;

/** How often half of the items finds it again, and the tone of what the items left out then show. */
export const unseen = (finding: Finding) => ({
  words: `found again in ${integer(finding.unseen_splits)} of ${plural(finding.splits, "half-sample")}`,
  tone: TONE[String(finding.holds) as keyof typeof TONE],
});

/** The same with the gap on the items left out (its mean, and the mean ends of its intervals). */
export function unseenSentence(finding: Finding): string {
  const range = `(${signed(finding.unseen_low)} to ${signed(finding.unseen_high)})`;
  const gap = finding.unseen_splits === 0 ? "" : `; there ${signed(finding.unseen_gap)} ${range} on the items left out`;
  return `It is ${unseen(finding).words}${gap}. It was chosen on all items, so this is not a test on new ones.`;
}

/** How many items it is about, and how many clusters. */
export function size(finding: Finding): string {
  return finding.clusters === finding.items
    ? plural(finding.items, "item")
    : `${plural(finding.items, "item")}, ${integer(finding.clusters)} when those that belong together count once`;
}

/** In one line: the gap, on how many items, and whether it holds. */
export function line(finding: Finding, run: RunInfo): string {
  const alike = run.evidence.alike && ` ${run.evidence.alike}`;
  return `gap ${signed(finding.gap)} ${interval(finding.gap_low, finding.gap_high)}${alike} · ${size(finding)}`;
}

/** The findings that are about a benchmark; null: all. */
export function about(findings: Finding[], benchmark: number | null): Finding[] {
  if (benchmark === null) return findings;
  return findings.filter((finding) =>
    finding.benchmarks.some((part) => part.benchmark === benchmark && part.share >= MAIN_SHARE),
  );
}
