/** Themes as the tree above the table shows them. */
import type { Face } from "../app/state";
import { numbers, type Table, texts } from "../data/table";
import type { Theme } from "../data/types";
import { roundedUp } from "./bar";

/** Ranked concepts of a theme, and what became of them in the shown table. */
export interface Counts {
  ranked: number;
  weak: number;
  strong: number;
  missing: number;
}

/** Counts of all themes (or subthemes) by id. */
export function countsOf(table: Table, level: Theme["level"]): Map<number, Counts> {
  const ids = numbers(table, level);
  const ranked = numbers(table, "ranked");
  const performance = texts(table, "performance_status");
  const coverage = texts(table, "coverage_status");
  const counts = new Map<number, Counts>();
  for (let row = 0; row < table.rows; row++) {
    const id = ids[row]!;
    if (Number.isNaN(id) || ranked[row] !== 1) continue;
    let own = counts.get(id);
    if (!own) {
      own = { ranked: 0, weak: 0, strong: 0, missing: 0 };
      counts.set(id, own);
    }
    own.ranked++;
    if (performance[row] === "weak") own.weak++;
    if (performance[row] === "strong") own.strong++;
    if (coverage[row] === "missing") own.missing++;
  }
  return counts;
}

export interface Branch {
  theme: Theme;
  /** The theme's figures in the suite, or in the benchmark that is looked at. */
  gap: number | null;
  low: number | null;
  high: number | null;
  /** Coverage per ranked concept; 1 is the mean over all concepts. */
  coverage: number | null;
  status: string;
  /** Whether it could be tested for a gap. */
  tested: boolean;
  counts: Counts;
  children: Branch[];
}

const NONE: Counts = { ranked: 0, weak: 0, strong: 0, missing: 0 };
const missingShare = ({ counts }: Branch) => (counts.ranked ? counts.missing / counts.ranked : -1);
const STATUSES = ["weak", "strong", "typical"];
const statusRank = ({ status }: Branch) => (STATUSES.includes(status) ? STATUSES.indexOf(status) : STATUSES.length);

/**
 * Themes with their subthemes: weak ones first, by gap, as in the report; or the largest share of missing concepts
 * first.
 */
export function branches(all: Theme[], table: Table, face: Face, benchmark: number | null): Branch[] {
  const counts = { theme: countsOf(table, "theme"), subtheme: countsOf(table, "subtheme") };
  const ordered = (themes: Theme[]): Branch[] => {
    const made = themes.map((theme) => branch(theme, benchmark, counts[theme.level].get(theme.id) ?? NONE));
    if (face === "benchmark")
      return made.sort(
        (a, b) => missingShare(b) - missingShare(a) || (a.coverage ?? Infinity) - (b.coverage ?? Infinity),
      );
    // The file has the suite's themes in the report's order; a benchmark's own order is made the same way.
    return benchmark === null ? made : made.sort((a, b) => statusRank(a) - statusRank(b) || byGap(a, b));
  };
  const below = all.filter((theme) => theme.level === "subtheme");
  return ordered(all.filter((theme) => theme.level === "theme")).map((branch) => ({
    ...branch,
    children: ordered(below.filter((child) => child.parent === branch.theme.id)),
  }));
}

function byGap(a: Branch, b: Branch): number {
  if (a.gap === null || b.gap === null) return Number(a.gap === null) - Number(b.gap === null);
  return a.status === "strong" && b.status === "strong" ? b.gap - a.gap : a.gap - b.gap;
}

function branch(theme: Theme, benchmark: number | null, counts: Counts): Branch {
  const within = benchmark === null ? theme : theme.benchmarks[benchmark]!;
  const coverage =
    benchmark === null
      ? theme.chi_bench_mean
      : within.chi_bench === null || theme.ranked === 0
        ? null
        : within.chi_bench / theme.ranked;
  return {
    theme,
    counts,
    coverage,
    children: [],
    gap: within.gap,
    low: within.gap_low,
    high: within.gap_high,
    status: within.performance_status,
    tested: within.q_value !== null,
  };
}

export const themeName = (theme: Theme) => theme.name ?? `${theme.level} ${theme.id}`;

/**
 * Half-width of the scale: the largest gap or end of an interval shown, in two digits, at least 0.01. Only tested
 * branches count, if there are any.
 */
export function gapReach(shown: Branch[]): number {
  const tested = shown.filter((entry) => entry.tested);
  const ends = (tested.length ? tested : shown).flatMap(({ gap, low, high }) =>
    [gap, low, high].map((value) => Math.abs(value ?? 0)),
  );
  return roundedUp(Math.max(0.01, ...ends));
}
