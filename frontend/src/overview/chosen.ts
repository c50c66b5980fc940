/** Which themes the overview shows, and what it says of the choice. */
import type { Face } from "../app/state";
import type { Theme } from "../data/types";
import { integer, plural } from "../format";

const SHOWN = 8;

export interface Chosen {
  themes: Theme[];
  title: string;
  /** How many of how many, and by what. */
  choice: string;
}

export const missingShare = (theme: Theme) => theme.missing_concepts / theme.ranked;

/** Weak themes first, as in the tree, then the lowest gaps; or the largest missing shares. */
export function chosenThemes(all: Theme[], face: Face): Chosen {
  const top = all.filter((theme) => theme.level === "theme" && theme.ranked > 0);
  if (face === "model") return lowest(top.filter((theme) => theme.q_value !== null));
  const themes = top
    .sort((a, b) => missingShare(b) - missingShare(a) || (a.chi_bench_mean ?? 0) - (b.chi_bench_mean ?? 0))
    .slice(0, SHOWN);
  const choice =
    themes.length === top.length
      ? `All ${plural(top.length, "theme")}.`
      : `The ${integer(themes.length)} largest missing shares of ${plural(top.length, "theme")}.`;
  return { themes, title: "Themes that the benchmarks touch least", choice };
}

function lowest(tested: Theme[]): Chosen {
  const byGap = (a: Theme, b: Theme) => (a.gap ?? 0) - (b.gap ?? 0);
  const weak = tested.filter(isWeak).sort(byGap);
  const others = tested.filter((theme) => !isWeak(theme)).sort(byGap);
  const themes = [...weak, ...others].slice(0, SHOWN);
  const title =
    weak.length === 0
      ? "Themes with the lowest gaps"
      : themes.every(isWeak)
        ? "Weak themes"
        : "Weak themes, then the lowest gaps";
  return { themes, title, choice: summary(weak.length, themes.length, tested.length) };
}

const isWeak = (theme: Theme) => theme.performance_status === "weak";

function summary(weak: number, shown: number, tested: number): string {
  if (tested === 1) return "The only theme that could be tested.";
  const of = `${integer(tested)} tested`;
  if (weak > shown) return `The ${integer(shown)} lowest gaps of ${integer(weak)} weak themes; ${of}.`;
  if (weak === shown)
    return weak === tested
      ? `All ${plural(tested, "tested theme")}, each weak.`
      : `All weak themes: ${integer(weak)} of ${of}.`;
  const rest = shown - weak;
  if (weak === 0)
    return rest === tested
      ? `All ${plural(tested, "tested theme")}, none weak.`
      : `The ${integer(rest)} lowest of ${of}; none is weak.`;
  const others =
    rest === tested - weak
      ? `the ${integer(rest)} other${rest === 1 ? "" : "s"}`
      : `the ${integer(rest)} lowest of the others`;
  return `${integer(weak)} weak of ${of}, then ${others}.`;
}
