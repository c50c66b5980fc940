/** Place of the benchmark of this name; null: there is none. Addresses name benchmarks, parts are numbered by place. */
export function placeOf(name: string | null, benchmarks: { name: string }[]): number | null {
  const found = benchmarks.findIndex((one) => one.name === name);
  return found < 0 ? null : found;
}
