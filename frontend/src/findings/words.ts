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

export const HOLDS = {
  true: "the other half shows it too",
  false: "uncertain on the other half",
  null: "too small to test on halves",
};
export const TONE = { true: "good", false: "bad", null: "open" } as const;

const key = (holds: boolean | null) => String(holds) as keyof typeof HOLDS;

/** Whether the other half of the items shows it too, in a few words, and the tone of that. */
export const unseen = ({ holds }: Finding) => ({ words: HOLDS[key(holds)], tone: TONE[key(holds)] });

/** The same with its figures. */
export function unseenSentence(finding: Finding): string {
  if (finding.unseen_splits === 0)
    return `It is too small to be found again on half of the items (${plural(finding.splits, "split")} tried).`;
  const times = `${integer(finding.unseen_splits)} of ${plural(finding.splits, "split")}`;
  const range = interval(finding.unseen_low, finding.unseen_high);
  const gap = `the other half then has a gap of ${signed(finding.unseen_gap)} ${range}`;
  return (
    `One half of the items finds it again in ${times}; ${gap}. ` +
    "It was chosen on all items, so this is not a test on new ones."
  );
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
