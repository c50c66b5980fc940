import { useMemo } from "react";
import { tests } from "../concepts/filters";
import { numbers, select, type Table } from "../data/table";
import type { Theme, ThemeFile } from "../data/types";
import { visible } from "../text";
import { arranged, type Layout, placed, places, radii } from "./arrange";
import { type Colouring, colours, palette } from "./colouring";
import { names, present } from "./names";

interface Wanted {
  table: Table;
  themes: ThemeFile | null;
  layout: Layout;
  by: Colouring;
  /** The filters, as a query of the address. */
  query: string;
  selection: Uint32Array | null;
  dark: boolean;
}

/**
 * What the map draws: rows with a place (`on`), rows that pass the filters (`passes`), rows that do both (`shown`),
 * and their points, colours and names.
 */
export function useDrawn({ table, themes, layout, by, query, selection, dark }: Wanted) {
  const at = useMemo(() => places(layout, table), [layout, table]);
  const on = useMemo(() => placed(table.rows, at), [table, at]);
  const passes = useMemo(() => {
    const flags = new Uint8Array(table.rows);
    for (const row of select(table.rows, tests(new URLSearchParams(query), table))) flags[row] = 1;
    return flags;
  }, [query, table]);
  const shown = useMemo(() => on.filter((row) => passes[row] === 1), [on, passes]);
  const painted = useMemo(() => {
    const name = (theme: number) =>
      themeName(themes?.themes.find((entry) => entry.level === "theme" && entry.id === theme)?.name ?? null, theme);
    return colours(by, { table, all: on, rows: shown, dark, themeName: name });
  }, [by, table, on, shown, dark, themes]);
  const points = useMemo(
    () =>
      arranged({
        on,
        places: at,
        passes: (row) => passes[row] === 1,
        chosen: selection === null ? null : new Set(selection),
        colours: painted,
        radius: radii(numbers(table, "support"), on.length),
        backdrop: palette(dark).faint,
      }),
    [on, at, passes, selection, painted, table, dark],
  );
  const named = useMemo(
    () => (layout === "meaning" && themes ? labelled(themes.themes, table, on) : null),
    [layout, themes, table, on],
  );
  const labels = useMemo(
    () =>
      named && {
        theme: present(named.theme, numbers(table, "theme"), shown),
        subtheme: present(named.subtheme, numbers(table, named.fine), shown),
      },
    [named, table, shown],
  );
  return { on, passes, shown, painted, points, labels };
}

function themeName(name: string | null, theme: number): string {
  return name ? visible(name) : `theme ${theme}`;
}

function labelled(themes: Theme[], table: Table, on: Uint32Array) {
  const named = (level: Theme["level"]) => names(level, themes, table, on, themeName);
  const theme = named("theme");
  const subtheme = named("subtheme");
  return subtheme.length ? { theme, subtheme, fine: "subtheme" } : { theme, subtheme: theme, fine: "theme" };
}
