/** Place of the benchmark of this name; null: there is none. Addresses name benchmarks, parts are numbered by place. */
export function placeOf(name: string | null, benchmarks: { name: string }[]): number | null {
  const place = benchmarks.findIndex((benchmark) => benchmark.name === name);
  return place < 0 ? null : place;
}
