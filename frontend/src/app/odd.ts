/** What an address asks for that is not there, in sentences: a link that is wrong must not look as if it were right. */
import { COVERAGE, FLAGS, PERFORMANCE } from "../concepts/filters";
import type { RunInfo } from "../data/types";
import { OUTCOMES } from "../items/choose";
import { shorten, visible } from "../text";
import type { Route, View } from "./route";

/** Words that a parameter knows, in the views that read it. */
const WORDS: { name: string; views: View[]; words: readonly string[] }[] = [
  { name: "status", views: ["concepts", "map"], words: PERFORMANCE },
  { name: "coverage", views: ["concepts", "map"], words: COVERAGE },
  { name: "flags", views: ["concepts", "map"], words: [...FLAGS, "all"] },
  { name: "outcome", views: ["items"], words: OUTCOMES.map((one) => one.value) },
];
const NUMBERS = ["n_eff", "qmax", "liftmin", "liftmax"];

export function oddities(route: Route, run: RunInfo): string[] {
  const found: string[] = [];
  const { params, view } = route;
  if (route.unknown !== null) found.push(`There is no view ${quoted(route.unknown)}: this is the overview.`);
  const bench = params.get("bench");
  const count = run.benchmarks.length;
  if (bench !== null && !(/^\d{1,9}$/.test(bench) && Number(bench) < count)) {
    found.push(`There is no benchmark ${quoted(bench)}: they are numbered from 0 to ${count - 1}, and all are shown.`);
  }
  for (const { name, views, words } of WORDS) {
    const given = params.get(name);
    const odd = given !== null && views.includes(view) ? given.split(",").filter((one) => !words.includes(one)) : [];
    if (odd.length) found.push(`${name} knows no ${odd.slice(0, 3).map(quoted).join(", ")}: it is one of ${words.join(", ")}.`);
  }
  if (view === "concepts" || view === "map") {
    for (const name of NUMBERS) {
      const given = params.get(name);
      if (given !== null && !(given.trim() !== "" && Number.isFinite(Number(given)))) found.push(`${name}=${quoted(given)} is no number and chooses nothing.`);
    }
    for (const level of ["theme", "subtheme"]) {
      const given = params.get(level);
      if (given !== null && !/^\d{1,9}$/.test(given)) found.push(`${level}=${quoted(given)} is no number of a ${level} and chooses nothing.`);
    }
  }
  return found;
}

const quoted = (text: string) => `“${shorten(visible(text), 40)}”`;
