/** The views, in the order of the menu. */
import {
  IconChartBar,
  IconFileText,
  IconGitCompare,
  IconLayoutDashboard,
  IconMap2,
  IconShieldCheck,
  IconTable,
  IconTarget,
  IconTool,
  IconUsersGroup,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import { AnswerView } from "../answer/AnswerView";
import { SliceView } from "../answer/SliceView";
import { Atlas } from "../atlas/Atlas";
import { Benchmarks } from "../benchmarks/Benchmarks";
import { Compare } from "../compare/Compare";
import { Concepts } from "../concepts/Concepts";
import { Coverage } from "../coverage/Coverage";
import type { RunInfo, RunList } from "../data/types";
import { Improve } from "../improve/Improve";
import { Items } from "../items/Items";
import { Models } from "../models/Models";
import { Trust } from "../trust/Trust";
import type { View } from "./route";

interface Entry {
  view: View;
  title: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  show: ComponentType;
}

const ENTRIES: Entry[] = [
  { view: "models", title: "Models", icon: IconUsersGroup, show: Models },
  { view: "answer", title: "Answer", icon: IconTarget, show: AnswerView },
  { view: "atlas", title: "Atlas", icon: IconMap2, show: Atlas },
  { view: "concepts", title: "Concepts", icon: IconTable, show: Concepts },
  { view: "items", title: "Items", icon: IconFileText, show: Items },
  { view: "benchmarks", title: "Benchmarks", icon: IconChartBar, show: Benchmarks },
  { view: "trust", title: "Trust", icon: IconShieldCheck, show: Trust },
  { view: "improve", title: "Improve", icon: IconTool, show: Improve },
  { view: "coverage", title: "Coverage", icon: IconLayoutDashboard, show: Coverage },
  { view: "compare", title: "Compare", icon: IconGitCompare, show: Compare },
];
/** Views that are not in the menu. */
const DETAIL_VIEWS: Entry[] = [{ view: "slice", title: "Slice", icon: IconTarget, show: SliceView }];

/** Views that need a model and its SAE to have read the items. */
const NEEDS_READING: View[] = ["atlas", "coverage", "concepts"];

/**
 * Why a run lacks a view; null: it has it. An exported page cannot open a second run.
 */
export function whyAbsent(
  view: View,
  { mode, runs }: Pick<RunList, "mode" | "runs">,
  { regions, models, sae }: Pick<RunInfo, "regions" | "models" | "sae">,
): string | null {
  if (sae === null && NEEDS_READING.includes(view))
    return "No model has read the items of this run; cgaps run with --read adds concepts and coverage.";
  if (view === "atlas" && regions.length === 0)
    return "This run has no atlas, because its dictionary has none; cgaps concepts atlas makes one.";
  if (view === "models" && models.length < 2)
    return "This run has the scores of one model only; cgaps score adds others.";
  if (view === "answer" && models.length === 0)
    return "This run has no scores, so it shows only what its items test; cgaps score adds scores.";
  if (mode === "served") return null;
  if (view === "compare" && runs.length < 2)
    return "This page was exported with one run, so there is no other to compare it with.";
  return null;
}

/** The views in the menu. */
export const menuOf = (list: RunList, run: RunInfo): Entry[] =>
  ENTRIES.filter((entry) => whyAbsent(entry.view, list, run) === null);

/** The view at an address; the first in the menu if the run lacks it. */
export function viewOf(view: View, list: RunList, run: RunInfo): Entry {
  const menu = menuOf(list, run);
  return [...DETAIL_VIEWS, ...menu].find((entry) => entry.view === view) ?? menu[0]!;
}
