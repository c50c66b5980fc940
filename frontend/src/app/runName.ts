/** How a run is called, everywhere in the page. */
import { visible } from "../text";

interface Named { key: string; title: string }

/** The title, with the key where several runs have it. */
export function runName(run: Named, runs: Named[]): string {
  return runs.filter((one) => one.title === run.title).length > 1 ? `${visible(run.title)} (${visible(run.key)})` : visible(run.title);
}
