/** Parts by name, each read once. */
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

/** Columns are written down in `view/page/parts/tables.py`. */
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

/** Reads a part once; details, of which there are many, are forgotten when others push them out. */
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
const readAnswers = (key: string, model: number) => once(`${key}/answers/${model}.json`, json<ModelAnswers>);
const readGaps = (key: string, model: number) => once(`${key}/gaps/${model}.json`, json<ModelGaps>);
const readModels = (key: string) => once(`${key}/models.json`, json<ModelsFile>);
const readCoverage = (key: string, part: number) => once(`${key}/coverage/${part}.json`, json<WordedCoverage>);
const readSlices = async (key: string) =>
  slicesOf(await once(`${key}/slices.json`, json<ListedSlice[]>), await readTable(key, "slice_items.parquet"));
const readMatches = (key: string) => once(`${key}/matches.json`, json<Matching[]>);
const readImprove = (key: string) => once(`${key}/improve.json`, json<ImproveFile>);
const readPair = (key: string, pair: number) => once(`${key}/pairs/${pair}.json`, json<Pairing>);
const readAgainst = (key: string, other: string) => once(`${key}/against/${other}.json`, json<Pairing>);
export const readTable = (key: string, name: TableName) => once<Table>(`${key}/${name}`, parquetTable);

type Kind = "concept" | "item" | "active";

/** Whether this page has a detail, the table of a benchmark's concepts, or a pair of models. */
export const holds = (run: RunInfo, kind: Kind | "concepts" | "pairs", number: number): boolean =>
  source.has(`${run.key}/${kind}/${number}.${kind === "concepts" ? "parquet" : "json"}`);

/** One of the details of a kind, of which a part holds some. */
async function readDetail<T>(run: RunInfo, kind: Kind, number: number): Promise<T> {
  const size = kind === "concept" ? run.concepts_per_part : run.items_per_part;
  const part = Math.floor(number / size);
  const details = await once(`${run.key}/${kind}/${part}.json`, json<T[]>);
  const detail = details[number - part * size];
  if (!detail) throw new Error(`This run has no ${kind === "active" ? "item" : kind} ${number}.`);
  return detail;
}

export const readItem = (run: RunInfo, row: number) => readDetail<ItemDetail>(run, "item", row);

/** The value of a promise that is made anew when `key` changes; null key: nothing to wait for. */
export function useLoaded<T>(key: string | null, read: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: Error | null }>(() => ({
    key,
    data: null,
    error: null,
  }));
  // biome-ignore lint/correctness/useExhaustiveDependencies: `key` says everything that `read` depends on.
  useEffect(() => {
    if (key === null) return;
    let current = true;
    read().then(
      (data) => current && setState({ key, data, error: null }),
      (error: unknown) =>
        current && setState({ key, data: null, error: error instanceof Error ? error : new Error(String(error)) }),
    );
    return () => {
      current = false;
    };
  }, [key]);
  if (state.key !== key) return { data: null, error: null };
  return state as Loaded<T>;
}

export const useRuns = () => useLoaded("runs", readRuns);
export const useRunInfo = (key: string | null) => useLoaded(key, () => readRun(key!));
export const useAnswers = (key: string, model: number | null) =>
  useLoaded(model === null ? null : `${key}/${model}`, () => readAnswers(key, model!));
export const useGaps = (key: string, model: number | null) =>
  useLoaded(model === null ? null : `${key}/${model}`, () => readGaps(key, model!));
export const useModels = (key: string | null) => useLoaded(key, () => readModels(key!));
/** Of a benchmark, by its place; null: of the suite. */
export function useCoverage(run: RunInfo, benchmark: number | null) {
  const part = benchmark === null || run.benchmarks.length === 1 ? 0 : benchmark + 1;
  return useLoaded(`${run.key}/${part}`, () => readCoverage(run.key, part));
}
/** Null: they are not needed. */
export const useSlices = (key: string | null) => useLoaded(key, () => readSlices(key!));
/** Null: the run has none. */
export const useMatches = (key: string | null) => useLoaded(key, () => readMatches(key!));
export const useImprove = (key: string) => useLoaded(key, () => readImprove(key));
export const usePair = (key: string, pair: number | null) =>
  useLoaded(pair === null ? null : `${key}/${pair}`, () => readPair(key, pair!));
/** The run `other` against the run `key`; null: they are not compared. */
export const useAgainst = (key: string, other: string | null) =>
  useLoaded(other === null ? null : `${key}/${other}`, () => readAgainst(key, other!));
export const useTable = (key: string | null, name: TableName) =>
  useLoaded(key === null ? null : `${key}/${name}`, () => readTable(key!, name));
export const useConcept = (run: RunInfo, concept: number | null) =>
  useLoaded(concept === null ? null : `${run.key}/${concept}`, () =>
    readDetail<ConceptDetail>(run, "concept", concept!),
  );
export const useItem = (run: RunInfo, row: number) => useLoaded(`${run.key}/${row}`, () => readItem(run, row));
export const useItemConcepts = (run: RunInfo, row: number) =>
  useLoaded(`${run.key}/${row}`, () => readDetail<ItemConcepts>(run, "active", row));
