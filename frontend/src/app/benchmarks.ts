import { visible } from "../text";

/** Place of the benchmark of this name; null: there is none. Addresses name benchmarks, parts are numbered by place. */
export function placeOf(name: string | null, benchmarks: { name: string }[]): number | null {
  const place = benchmarks.findIndex((benchmark) => benchmark.name === name);
  return place < 0 ? null : place;
}

/** Name of what scored the items of a benchmark: where the run's model answered none, scores come from logs. */
export const scorerName = (scorer: string, models: string[]): string =>
  scorer === "none" && models.length > 0 ? "imported scores" : visible(scorer);
