/** How a run is called, everywhere in the page. */
import { visible } from "../text";

interface Named {
  key: string;
  title: string;
}

/** Its title in the list of runs, with the key where several have it. */
export function runName(key: string, runs: Named[]): string {
  const title = runs.find((run) => run.key === key)?.title ?? key;
  return runs.filter((run) => run.title === title).length > 1 ? `${visible(title)} (${visible(key)})` : visible(title);
}
