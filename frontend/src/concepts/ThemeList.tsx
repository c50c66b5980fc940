import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { type Face, useFace, useRun } from "../app/state";
import { numbers, type Table, texts } from "../data/table";
import type { ThemeName } from "../data/types";
import { integer, percent } from "../format";
import { shorten, visible } from "../text";
import type { ShownTable } from "./useConceptTable";

export const themeName = (theme: ThemeName) => theme.name ?? `${theme.level} ${theme.id}`;

export interface Group {
  theme: ThemeName;
  ranked: number;
  /** Ranked concepts that the model is weak on, or that no item activates. */
  bad: number;
}

/** Ranked concepts by theme or subtheme: those with the largest bad share first. */
export function groupsOf(themes: ThemeName[], table: Table, face: Face): Group[] {
  const [key, word] = face === "model" ? ["performance_status", "weak"] : ["coverage_status", "missing"];
  const [ranked, status] = [numbers(table, "ranked"), texts(table, key!)];
  return themes
    .map((theme) => {
      const of = numbers(table, theme.level);
      let [count, bad] = [0, 0];
      for (let row = 0; row < table.rows; row++) {
        if (of[row] !== theme.id || ranked[row] !== 1) continue;
        count++;
        bad += Number(status[row] === word);
      }
      return { theme, ranked: count, bad };
    })
    .filter(({ ranked }) => ranked > 0)
    .sort((a, b) => b.bad / b.ranked - a.bad / a.ranked || b.ranked - a.ranked);
}

/** Themes, and the subthemes of the chosen one; choosing one selects its concepts in the table. */
export function ThemeList({ table }: ShownTable) {
  const { themes } = useRun();
  const face = useFace();
  const { params } = useRoute();
  const chosen = params.get("theme");
  const groups = useMemo(() => {
    const wanted = ({ level, parent }: ThemeName) => level === "theme" || String(parent) === chosen;
    return groupsOf(themes.filter(wanted), table, face);
  }, [themes, table, face, chosen]);
  const line = ({ theme, ranked, bad }: Group) => {
    const on = params.get(theme.level) === String(theme.id);
    const value = on ? null : theme.id;
    return (
      <button
        type="button"
        className="theme-line"
        aria-pressed={on}
        data-testid={theme.level}
        onClick={() => go({ params: theme.level === "theme" ? { theme: value, subtheme: null } : { subtheme: value } })}
      >
        <bdi>{shorten(visible(themeName(theme)), 70)}</bdi>
        <span className="soft">
          {integer(bad)} of {integer(ranked)} {face === "model" ? "weak" : "missing"} ({percent(bad / ranked)})
        </span>
      </button>
    );
  };
  return (
    // In a narrow window the table comes first.
    <details className="themes" data-testid="theme-list" open={innerWidth > 900}>
      <summary>Themes</summary>
      <ul>
        {groups
          .filter(({ theme }) => theme.level === "theme")
          .map((group) => (
            <li key={group.theme.id}>
              {line(group)}
              {String(group.theme.id) === chosen && (
                <ul>
                  {groups
                    .filter(({ theme }) => theme.level === "subtheme")
                    .map((own) => (
                      <li key={own.theme.id}>{line(own)}</li>
                    ))}
                </ul>
              )}
            </li>
          ))}
      </ul>
    </details>
  );
}
