/** Runs of one family share their items: a run, and the outcomes of it that were made of other models' scores. */
import type { ListedRun } from "../data/types";

/** The runs that were given, without their outcomes. */
export const heads = (runs: ListedRun[]): ListedRun[] =>
  runs.filter((run) => run.models === null || run.models === run.key);

/** Key of the run that a run is an outcome of; its own if it is none. */
export const headOf = (key: string, runs: ListedRun[]): string => runs.find((run) => run.key === key)?.models ?? key;

/** The run and all outcomes of it; empty where the run has scores of one model only. */
export function familyOf(key: string, runs: ListedRun[]): ListedRun[] {
  const models = runs.find((run) => run.key === key)?.models ?? null;
  return models === null ? [] : runs.filter((run) => run.models === models);
}

/**
 * Whether the scores of two runs are compared item by item: outcomes that are no scores are not, and models of one run
 * are compared there.
 */
export function arePaired(first: string, second: string, runs: ListedRun[]): boolean {
  const scores = [first, second].map((key) => runs.find((run) => run.key === key)?.scored.kind === "score");
  return first !== second && scores.every(Boolean) && headOf(first, runs) !== headOf(second, runs);
}

/** What an outcome of a model is, without the model's name. */
export function outcomeWords({ scored: { kind, against, scored } }: Pick<ListedRun, "scored">): string {
  if (!scored) return "no scores";
  if (kind === "peers") return `against peers: ${against.join(", ")}`;
  if (kind === "parsed") return "whether its answers could be read";
  return kind === "difference" ? `less ${against.join(", ")}` : "its scores";
}

/** The outcome that sets a run's scores against models of its level; null: none was made, or the run is one itself. */
export function againstPeers(key: string, runs: ListedRun[]): ListedRun | null {
  const family = familyOf(key, runs);
  const own = family.find((run) => run.key === key);
  if (own?.scored.kind !== "score") return null;
  return family.find(({ scored }) => scored.kind === "peers" && scored.model === own.scored.model) ?? null;
}

/** The run of a family that shows a model: in the same way as before, if that was made, else the first. */
export function runOf(model: string, before: ListedRun, family: ListedRun[]): ListedRun | null {
  const own = family.filter((run) => run.scored.model === model);
  return own.find((run) => run.scored.kind === before.scored.kind) ?? own[0] ?? null;
}

/** Models of a family, each once. The model that reads the items is marked: it is not the one that is judged. */
export function modelsOf(family: ListedRun[]): { value: string; label: string }[] {
  return [...new Map(family.map((run) => [run.scored.model, run])).values()].map(({ scored }) => ({
    value: scored.model,
    label: scored.model === scored.reader ? `${scored.model} (reads the items)` : scored.model,
  }));
}
