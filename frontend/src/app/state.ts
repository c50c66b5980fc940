/** The run that is looked at, and the settings of the whole page. */
import { createContext, useContext } from "react";
import type { RunInfo, RunList } from "../data/types";
import { placeOf } from "./benchmarks";
import { useRoute } from "./route";

export type Face = "model" | "benchmark";

export const RunContext = createContext<{ run: RunInfo; runs: RunList } | null>(null);

/** The run that is looked at. */
export function useRun(): RunInfo {
  return useShown().run;
}

/** All runs of the page, and how it was made. */
export function useRunList(): RunList {
  return useShown().runs;
}

function useShown() {
  const shown = useContext(RunContext);
  if (!shown) throw new Error("There is no run here.");
  return shown;
}

/** Whether one asks about the model's gaps or about the benchmarks'. */
export function useFace(): Face {
  const { scored } = useRun();
  const { view, params } = useRoute();
  // Without scores of the run's own model, no concept has a verdict.
  const unscored = !scored.scored && view === "concepts";
  return view === "coverage" || unscored || params.get("face") === "benchmark" ? "benchmark" : "model";
}

/** Place of the model that is looked at: the one that the address names, else the run's own; null: none has scores. */
export function useModel(): number | null {
  const { models, model } = useRun();
  const named = models.indexOf(useRoute().params.get("model") ?? "");
  return models.length === 0 ? null : named >= 0 ? named : model;
}

/** Place of the benchmark that is looked at; null: the whole suite. */
export function useBenchmark(): number | null {
  return useBenchmarkParam("benchmark");
}

/** Place of the benchmark that a parameter names; null: not given, or there is none. */
export function useBenchmarkParam(param: string): number | null {
  return placeOf(useRoute().params.get(param), useRun().benchmarks);
}

/** A parameter that is a whole number, at least 0; null: not given, or none. */
export function useNumberParam(name: string): number | null {
  const given = useRoute().params.get(name);
  return given !== null && /^\d{1,9}$/.test(given) ? Number(given) : null;
}
