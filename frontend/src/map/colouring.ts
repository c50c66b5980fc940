/** Colours of the map's points, and what they mean. */
import { heatOf } from "../concepts/heat";
import { columnNamed, numbers, type Table, texts } from "../data/table";
import type { ThemeName } from "../data/types";
import { shorten, visible } from "../text";
import { KINDS } from "../ui/colours";

export const COLOURINGS = ["status", "gap", "coverage", "theme"] as const;
export type Colouring = (typeof COLOURINGS)[number];

export interface Colours {
  of: (row: number) => string;
  /** What one looks for is drawn over the others, and larger. */
  sought: (row: number) => boolean;
  ramp: { low: string; stops: string[]; high: string } | null;
  entries: { name: string; colour: string }[];
}

/** Entries that a legend of themes has room for. */
const NAMED = 12;

export function colours(by: Colouring, table: Table, themes: ThemeName[], dark: boolean): Colours {
  const status = texts(table, "performance_status");
  const faint = dark ? "#3e4650" : "#cdd1d6";
  const tones = verdictColours(dark);
  const verdict = (row: number) => status[row] === "weak" || status[row] === "strong";
  if (by === "theme") {
    const of = numbers(table, "theme");
    const colour = (theme: number) => KINDS[theme % KINDS.length]!;
    const top = themes.filter(({ level }) => level === "theme").sort((a, b) => b.concepts - a.concepts);
    const name = (theme: ThemeName) => (theme.name ? shorten(visible(theme.name), 40) : `theme ${theme.id}`);
    const entries = top.slice(0, NAMED).map((theme) => ({ name: name(theme), colour: colour(theme.id) }));
    if (top.length > NAMED) entries.push({ name: "others: colours repeat", colour: faint });
    return {
      of: (row) => (Number.isNaN(of[row]!) ? faint : colour(of[row]!)),
      sought: () => false,
      ramp: null,
      entries,
    };
  }
  if (by === "status")
    return {
      of: (row) => tones[status[row] as keyof typeof tones] ?? (status[row] === "negligible" ? tones.typical : faint),
      sought: verdict,
      ramp: null,
      entries: [
        ...Object.entries(tones).map(([name, colour]) => ({ name, colour })),
        { name: "not tested", colour: faint },
      ],
    };
  const key = by === "gap" ? "gap" : "chi_bench";
  const values = numbers(table, key);
  const heat = heatOf(key, dark, {
    rows: table.rows,
    columns: { [key]: columnNamed(table, key)!, ranked: table.columns.ranked! },
  });
  return {
    of: (row) => (Number.isNaN(values[row]!) ? faint : (heat.colour(values[row]!) ?? tones.weak)),
    sought: by === "gap" ? verdict : (row) => values[row] === 0,
    ramp: heat,
    entries: [...(by === "coverage" ? [{ name: "missing", colour: tones.weak }] : []), { name: "N/A", colour: faint }],
  };
}

export const verdictColours = (dark: boolean) =>
  dark
    ? { weak: "#ff9d52", strong: "#86b3ee", typical: "#7b8590" }
    : { weak: "#b34a00", strong: "#2b62b8", typical: "#8b939d" };

/** Radius by support: its logarithm, for few concepts have most of it. Many points are drawn smaller. */
export function radii(support: ArrayLike<number>, on: number): (row: number) => number {
  let most = 1;
  for (let row = 0; row < support.length; row++) if (support[row]! > most) most = support[row]!;
  const crowd = Math.min(1, Math.max(0.4, (6000 / Math.max(1, on)) ** 0.3));
  const top = Math.log1p(most);
  return (row) => (1.9 + 5.2 * (Math.log1p(Math.max(0, support[row] || 0)) / top) ** 2) * crowd;
}
