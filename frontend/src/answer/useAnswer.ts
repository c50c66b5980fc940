import { useMemo } from "react";
import { useRoute } from "../app/route";
import { useModel, useRun } from "../app/state";
import { useAnswers, useGaps, usePair } from "../data/hooks";
import type { ListedAnswer, SliceGap } from "../data/types";

/** What its scores are set against, as the address asks: models at its level where there are some. */
export function chosenAnswer<T>(answers: { peers: T | null; benchmark: T | null }, against: string | null): T | null {
  return against === "benchmark" ? answers.benchmark : (answers.peers ?? answers.benchmark);
}

/** What was found of the model, against what the address asks: its answer, and its gap on every slice. */
export function useAnswer() {
  const run = useRun();
  const model = useModel();
  const against = useRoute().params.get("against");
  const other = run.models.indexOf(against ?? "");
  const paired = model !== null && other >= 0 && other !== model;
  const [answers, gaps] = [useAnswers(run.key, paired ? null : model), useGaps(run.key, paired ? null : model)];
  const pair = usePair(run.key, paired ? model * run.models.length + other : null);
  const answer: ListedAnswer | null = paired
    ? (pair.data?.answer ?? null)
    : answers.data && chosenAnswer(answers.data, against);
  const listed: SliceGap[] | null | undefined = paired
    ? pair.data?.gaps
    : gaps.data && chosenAnswer(gaps.data, against);
  const bySlice = useMemo(() => listed && new Map(listed.map((gap) => [gap.slice, gap])), [listed]);
  return { answer, gaps: bySlice, error: answers.error ?? gaps.error ?? pair.error };
}
