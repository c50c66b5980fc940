/**
 * What of an address also holds for another run: concepts if both have one SAE, benchmarks if they have the same
 * names.
 */
import type { RunInfo, Theme, ThemeFile } from "../data/types";
import { placeOf } from "./benchmarks";

type Suite = Pick<RunInfo, "key" | "sae_sha256" | "benchmarks">;

/** Parameters that speak of concepts by their numbers. */
const OF_CONCEPTS = ["concept", "ids", "at"];
/** Parameters that name a benchmark. */
const OF_BENCHMARKS = ["benchmark", "x", "y"];
/** Parameters that speak of one run's items, findings or themes. */
const OF_RUN = ["item", "group", "theme", "subtheme", "with", "finding", "cluster", "list"];

/** The parameters of an address to the same view of another run. `themes`: those of both runs, where they have any. */
export function carried(
  params: URLSearchParams,
  from: Suite,
  to: Suite,
  themes: [ThemeFile, ThemeFile] | null,
): Record<string, string> {
  const same = from.sae_sha256 !== null && from.sae_sha256 === to.sae_sha256;
  const kept: Record<string, string> = {};
  for (const [name, value] of params) {
    if (OF_RUN.includes(name) || (OF_CONCEPTS.includes(name) && !same)) continue;
    const moved = OF_BENCHMARKS.includes(name) ? nameThere(value, to) : name === "sort" ? sortThere(value, to) : value;
    if (moved !== null) kept[name] = moved;
  }
  // Compared with the run that is now looked at, the two change sides.
  const other = params.get("with");
  if (other !== null) kept.with = other === to.key ? from.key : other;
  if (same && themes) Object.assign(kept, themesThere(params, themes));
  return kept;
}

const nameThere = (name: string, to: Suite): string | null => (placeOf(name, to.benchmarks) === null ? null : name);

/** A sort by the column of one benchmark, `-gap@addition`, names it. */
function sortThere(sort: string, to: Suite): string | null {
  const at = sort.indexOf("@");
  return at < 0 || nameThere(sort.slice(at + 1), to) !== null ? sort : null;
}

/** Themes of the same number and name. */
function themesThere(params: URLSearchParams, [here, there]: [ThemeFile, ThemeFile]): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const level of ["theme", "subtheme"] as const) {
    const id = params.get(level);
    if (id === null) continue;
    const named = (file: ThemeFile) =>
      file.themes.find((theme: Theme) => theme.level === level && String(theme.id) === id);
    const [a, b] = [named(here), named(there)];
    if (a && b && a.name === b.name) kept[level] = id;
  }
  return kept;
}
