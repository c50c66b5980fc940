/** The current run, and settings of the whole page. */
import { createContext, useContext } from "react";
import type { ListedRun, RunInfo, RunList } from "../data/types";
import { visible, wholeNumber } from "../text";
import { useRoute } from "./route";

export type Face = "model" | "benchmark";

export const RunContext = createContext<{ run: RunInfo; runs: RunList } | null>(null);

/** The current run. */
export function useRun(): RunInfo {
  return useRunContext().run;
}

/** All runs of the page, and how it is served. */
export function useRunList(): RunList {
  return useRunContext().runs;
}

function useRunContext() {
  const context = useContext(RunContext);
  if (!context) throw new Error("There is no run here.");
  return context;
}

/** Whether the page shows gaps of the model or of the benchmarks. */
export function useFace(): Face {
  const { scored } = useRun();
  const { view, params } = useRoute();
  // Without scores of the run's own model, no concept has a verdict.
  const unscored = !scored.scored && view === "concepts";
  return view === "coverage" || unscored || params.get("face") === "benchmark" ? "benchmark" : "model";
}

/** Index of the current model: the one in the address, else the run's default; null: no model has scores. */
export function useModel(): number | null {
  const { models, model } = useRun();
  const named = models.indexOf(useRoute().params.get("model") ?? "");
  return models.length === 0 ? null : named >= 0 ? named : model;
}

/** Index of the current benchmark; null: the whole suite. */
export function useBenchmark(): number | null {
  return useBenchmarkParam("benchmark");
}

/** Index of the benchmark that a parameter names; null: the parameter is absent or names none. */
export function useBenchmarkParam(param: string): number | null {
  return benchmarkIndex(useRoute().params.get(param), useRun().benchmarks);
}

/** A parameter that is a whole number; null: it is not in the address, or is something else. */
export const useNumberParam = (name: string): number | null => wholeNumber(useRoute().params.get(name));

/** Index of the benchmark with this name; null: there is none. */
export function benchmarkIndex(name: string | null, benchmarks: { name: string }[]): number | null {
  const index = benchmarks.findIndex((benchmark) => benchmark.name === name);
  return index < 0 ? null : index;
}

/** Display name of a benchmark's scorer. Without one, scores were imported from logs. */
export const scorerName = (scorer: string, models: string[]): string =>
  scorer === "none" && models.length > 0 ? "imported scores" : visible(scorer);

/** A run's title, with its key if several runs share the title. */
export function runName(key: string, runs: ListedRun[]): string {
  const title = runs.find((run) => run.key === key)?.title ?? key;
  return runs.filter((run) => run.title === title).length > 1 ? `${visible(title)} (${visible(key)})` : visible(title);
}
