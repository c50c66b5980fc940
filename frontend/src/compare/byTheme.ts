/** Themes of two runs, by their names. */
import type { Theme } from "../data/types";

export interface ThemePair {
  name: string;
  a: Theme;
  b: Theme;
  /** Gap of the second less that of the first; null: one of them is not defined. */
  difference: number | null;
}

/** Themes that both runs have by name: the largest difference of gaps first, undefined ones last, ties by name. */
export function themePairs(first: Theme[], second: Theme[]): ThemePair[] {
  const others = named(second);
  return [...named(first)]
    .flatMap(([name, a]) => {
      const b = others.get(name);
      return b ? [{ name, a, b, difference: a.gap !== null && b.gap !== null ? b.gap - a.gap : null }] : [];
    })
    .sort((x, y) => size(y) - size(x) || x.name.localeCompare(y.name));
}

const size = ({ difference }: ThemePair) => (difference === null ? -1 : Math.abs(difference));

function named(themes: Theme[]): Map<string, Theme> {
  return new Map(themes.filter((theme) => theme.level === "theme" && theme.name).map((theme) => [theme.name!, theme]));
}
