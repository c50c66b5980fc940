/** Read parts of the data, each once. */
import { useEffect, useState } from "react";
import { slicesOf } from "../answer/slices";
import { parquetTable } from "./parquet";
import { source } from "./source";
import type { Table } from "./table";
import type {
  ConceptDetail,
  ImproveFile,
  ItemConcepts,
  ItemDetail,
  ListedSlice,
  Matching,
  ModelAnswers,
  ModelGaps,
  ModelsFile,
  Pairing,
  RunInfo,
  RunList,
  WordedCoverage,
} from "./types";

/** Tables; `view/page/parts/tables.py` lists their columns. */
export type TableName =
  | "concepts.parquet"
  | `concepts/${number}.parquet`
  | "items.parquet"
  | "item_regions.parquet"
  | "slice_items.parquet"
  | "scores.parquet";

export type Loaded<T> = { data: T; error: null } | { data: null; error: Error | null };

const KEPT = 400;
const promises = new Map<string, Promise<unknown>>();

/** Read a part once; only the most recent details stay cached. */
function once<T>(path: string, read: (bytes: Uint8Array) => T | Promise<T>): Promise<T> {
  const known = promises.get(path);
  if (known) return known as Promise<T>;
  const promise = source.read(path).then(read);
  promises.set(path, promise);
  promise.catch(() => promises.delete(path));
  const details = [...promises.keys()].filter((path) => /\/(concept|item|active)\/\d+\.json$/.test(path));
  for (const old of details.slice(0, Math.max(0, details.length - KEPT))) promises.delete(old);
  return promise;
}

const json = <T>(bytes: Uint8Array): T => JSON.parse(new TextDecoder().decode(bytes)) as T;

export const readRuns = () => once("runs.json", json<RunList>);
export const readRun = (key: string) => once(`${key}/run.json`, json<RunInfo>);
export const readTable = (key: string, name: TableName) => once<Table>(`${key}/${name}`, parquetTable);

type Kind = "concept" | "item" | "active";

/** Whether this page includes a detail, a benchmark's table of concepts, or a pair of models. */
export const pageHas = (run: RunInfo, kind: Kind | "concepts" | "pairs", number: number): boolean =>
  source.has(`${run.key}/${kind}/${number}.${kind === "concepts" ? "parquet" : "json"}`);

/** Read one detail from the part that contains it. */
async function readDetail<T>(run: RunInfo, kind: Kind, number: number): Promise<T> {
  const size = kind === "concept" ? run.concepts_per_part : run.items_per_part;
  const part = Math.floor(number / size);
  const details = await once(`${run.key}/${kind}/${part}.json`, json<T[]>);
  const detail = details[number - part * size];
  if (!detail) throw new Error(`This run has no ${kind === "active" ? "item" : kind} ${number}.`);
  return detail;
}

export const readItem = (run: RunInfo, row: number) => readDetail<ItemDetail>(run, "item", row);

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** The value of `read()`, called again when `key` changes; null key: not needed. */
export function useLoaded<T>(key: string | null, read: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Loaded<T> & { key: string | null }>({ key, data: null, error: null });
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` says everything that `read` depends on.
  useEffect(() => {
    if (key === null) return;
    let current = true;
    read().then(
      (data) => current && setState({ key, data, error: null }),
      (error: unknown) => current && setState({ key, data: null, error: asError(error) }),
    );
    return () => {
      current = false;
    };
  }, [key]);
  if (state.key !== key) return { data: null, error: null };
  return state;
}

/** A JSON part at its path; null path: not needed. */
const usePart = <T>(path: string | null) => useLoaded(path, () => once(path!, json<T>));

export const useRuns = () => useLoaded("runs", readRuns);
export const useRunInfo = (key: string | null) => useLoaded(key, () => readRun(key!));
export const useAnswers = (key: string, model: number | null) =>
  usePart<ModelAnswers>(model === null ? null : `${key}/answers/${model}.json`);
export const useGaps = (key: string, model: number | null) =>
  usePart<ModelGaps>(model === null ? null : `${key}/gaps/${model}.json`);
export const useModels = (key: string | null) => usePart<ModelsFile>(key && `${key}/models.json`);
export const useMatches = (key: string) => usePart<Matching[]>(`${key}/matches.json`);
export const useImprove = (key: string) => usePart<ImproveFile>(`${key}/improve.json`);
/** Of a benchmark, by its index; null: of the suite. */
export const useCoverage = (run: RunInfo, benchmark: number | null) =>
  usePart<WordedCoverage>(
    `${run.key}/coverage/${benchmark === null || run.benchmarks.length === 1 ? 0 : benchmark + 1}.json`,
  );
export const usePair = (key: string, pair: number | null) =>
  usePart<Pairing>(pair === null ? null : `${key}/pairs/${pair}.json`);
/** The run `other` against the run `key`. */
export const useAgainst = (key: string, other: string) => usePart<Pairing>(`${key}/against/${other}.json`);
/** All slices by their numbers; null key: not needed. */
export const useSlices = (key: string | null) =>
  useLoaded(key, async () =>
    slicesOf(await once(`${key}/slices.json`, json<ListedSlice[]>), await readTable(key!, "slice_items.parquet")),
  );
export const useTable = (key: string | null, name: TableName) =>
  useLoaded(key && `${key}/${name}`, () => readTable(key!, name));
export const useConcept = (run: RunInfo, concept: number | null) =>
  useLoaded(concept === null ? null : `${run.key}/${concept}`, () =>
    readDetail<ConceptDetail>(run, "concept", concept!),
  );
export const useItem = (run: RunInfo, row: number) => useLoaded(`${run.key}/${row}`, () => readItem(run, row));
export const useItemConcepts = (run: RunInfo, row: number) =>
  useLoaded(`${run.key}/${row}`, () => readDetail<ItemConcepts>(run, "active", row));
