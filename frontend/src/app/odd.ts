/** What an address asks for that is not there, in sentences: a link that is wrong must not look as if it were right. */
import { SORTS as DIFFERENCE_SORTS } from "../compare/joined";
import { allColumns, sharedMeasures, sortKeys } from "../concepts/columns";
import { COVERAGE, PERFORMANCE } from "../concepts/filters";
import { KINDS } from "../concepts/kinds";
import { MATRICES, MEASURES } from "../correlation/pair";
import type { RunInfo, Theme } from "../data/types";
import { integer } from "../format";
import { SORTS as ITEM_SORTS, OUTCOMES } from "../items/choose";
import { COLOURINGS } from "../map/colouring";
import { OUTCOMES as ENTRY_OUTCOMES } from "../matches/words";
import { shorten, visible } from "../text";
import { placeOf } from "./benchmarks";
import type { Route, View } from "./route";
import { selectionOf } from "./selection";
import { readSort } from "./sort";

/**
 * Values that a parameter takes, and the views that read it (none listed: all). `many`: several, separated by commas.
 */
const WORDS: { name: string; views?: View[]; words: (run: RunInfo) => readonly string[]; many?: true }[] = [
  { name: "face", words: () => ["model", "benchmark"] },
  { name: "status", views: ["concepts", "map"], words: () => PERFORMANCE, many: true },
  { name: "coverage", views: ["concepts", "map"], words: () => COVERAGE, many: true },
  { name: "kinds", views: ["concepts", "map"], words: () => [...KINDS, "all"], many: true },
  { name: "each", views: ["concepts"], words: (run) => sharedMeasures(run).map((spec) => spec.key) },
  {
    name: "cols",
    views: ["concepts"],
    words: (run) => ["none", ...allColumns(run, null).map((spec) => spec.key)],
    many: true,
  },
  {
    name: "colour",
    views: ["map"],
    words: (run) => COLOURINGS.filter((colouring) => colouring !== "theme" || run.has.themes),
  },
  { name: "layout", views: ["map"], words: () => ["meaning", "gaps"] },
  { name: "outcome", views: ["items"], words: () => OUTCOMES.map((outcome) => outcome.value) },
  { name: "outcome", views: ["matches"], words: () => ENTRY_OUTCOMES },
  { name: "kind", views: ["models"], words: () => ["score", "peers"] },
  ...["model", "a", "b"].map((name) => ({ name, views: ["models" as const], words: (run: RunInfo) => run.models })),
  { name: "measure", views: ["correlation"], words: () => MEASURES },
  { name: "matrix", views: ["correlation"], words: () => MATRICES },
];
/** Columns by which the tables of views are sorted. */
const SORTS: Partial<Record<View, (run: RunInfo) => readonly string[]>> = {
  concepts: sortKeys,
  items: () => ITEM_SORTS,
  compare: () => DIFFERENCE_SORTS,
};
const NUMBERS = ["n_eff", "qmax", "liftmin", "liftmax"];
const WHOLE = /^\d{1,9}$/;

/** `others`: keys of the other runs of the page; `themes`: the run’s, null: not read, or it has none. */
export function oddities(
  { params, view, unknown }: Route,
  run: RunInfo,
  others: string[],
  themes: Theme[] | null,
): string[] {
  const notices: string[] = [];
  if (unknown !== null) notices.push(`There is no view ${quoted(unknown)}: this is the overview.`);
  const given = (name: string) => params.get(name);
  const each = (names: string[], odd: (value: string) => boolean, say: (value: string, name: string) => string) => {
    for (const name of names) {
      const value = given(name);
      if (value !== null && odd(value)) notices.push(say(quoted(value), name));
    }
  };
  const noBenchmark = (name: string) => placeOf(name, run.benchmarks) === null;
  each(["benchmark"], noBenchmark, (value) => `There is no benchmark ${value} in this run: all are shown.`);
  if (view === "correlation")
    each(["x", "y"], noBenchmark, (value) => `There is no benchmark ${value} in this run: another is shown.`);
  for (const { name, views, words, many } of WORDS) {
    const value = given(name);
    if (value === null || views?.includes(view) === false) continue;
    const known = words(run);
    const odd = (many ? value.split(",") : [value]).filter((word) => !known.includes(word));
    if (odd.length)
      notices.push(`${name} cannot be ${odd.slice(0, 3).map(quoted).join(", ")}: expected one of ${known.join(", ")}.`);
  }
  const sorts = SORTS[view]?.(run);
  if (sorts)
    each(
      ["sort"],
      (value) => readSort(value, sorts) === null,
      (value) => `There is no column ${value} to sort by: the default order is shown.`,
    );
  if (view === "compare")
    each(
      ["with"],
      (value) => !others.includes(value),
      (value) => `There is no other run ${value} to compare with.`,
    );
  if (view === "concepts" || view === "map") {
    each(
      NUMBERS,
      (value) => value.trim() === "" || !Number.isFinite(Number(value)),
      (value, name) => `${name}=${value} is not a number and is ignored.`,
    );
    each(
      ["theme", "subtheme"],
      (value) => !WHOLE.test(value),
      (value, name) => `${name}=${value} is not the number of a ${name} and is ignored.`,
    );
    const noTheme = (level: string) => (value: string) =>
      themes !== null &&
      WHOLE.test(value) &&
      !themes.some((theme) => theme.level === level && theme.id === Number(value));
    for (const level of ["theme", "subtheme"])
      each([level], noTheme(level), (value) => `There is no ${level} ${value} in this run, so it has no concepts.`);
    const ids = given("ids");
    if (ids !== null) notices.push(...oddChoice(ids, run.width));
  }
  return notices;
}

function oddChoice(ids: string, width: number): string[] {
  const chosen = selectionOf(ids);
  if (chosen === null) {
    const what = ids.startsWith("tab-") ? "a selection made in another tab" : "not a selection of concepts";
    return [`ids=${quoted(ids)} is ${what}, and is ignored.`];
  }
  const absent = chosen.filter((concept) => concept >= width).length;
  return absent
    ? [`ids: ${integer(absent)} of these concepts do not exist: they are numbered from 0 to ${integer(width - 1)}.`]
    : [];
}

const quoted = (text: string) => `“${shorten(visible(text), 40)}”`;
