/** Themes of two runs, by their names. */
import type { Theme, ThemeDifference } from "../data/types";

export interface ThemePair {
  name: string;
  a: Theme;
  b: Theme;
  /** Scores of the second less those of the first on the theme's items; null: too few items pair, or none. */
  difference: ThemeDifference | null;
}

/**
 * Themes that both runs have by name: the surest differences first, those without one last; where none is known, the
 * lowest gap in the first run first. `paired`: differences by the numbers of the first run's themes.
 */
export function themePairs(first: Theme[], second: Theme[], paired: readonly ThemeDifference[]): ThemePair[] {
  const others = named(second);
  const differences = new Map(paired.map((difference) => [difference.theme, difference]));
  const last = (value: number | null | undefined) => value ?? Number.POSITIVE_INFINITY;
  const order = (x: number, y: number) => (x === y ? 0 : x - y);
  return [...named(first)]
    .flatMap(([name, a]) => {
      const b = others.get(name);
      return b ? [{ name, a, b, difference: differences.get(a.id) ?? null }] : [];
    })
    .sort(
      (x, y) =>
        order(last(x.difference?.q_value), last(y.difference?.q_value)) ||
        order(last(x.a.gap), last(y.a.gap)) ||
        x.name.localeCompare(y.name),
    );
}

function named(themes: Theme[]): Map<string, Theme> {
  return new Map(themes.filter((theme) => theme.level === "theme" && theme.name).map((theme) => [theme.name!, theme]));
}
