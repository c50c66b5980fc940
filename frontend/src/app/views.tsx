/** The views, in the order of the menu. */
import {
  IconArrowsLeftRight, IconBulb, IconChartDots3, IconFileText, IconGitCompare, IconIdBadge2, IconLayoutDashboard, IconMessageCircle, IconTable,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import { Card } from "../card/Card";
import { Chat } from "../chat/Chat";
import { Compare } from "../compare/Compare";
import { Concepts } from "../concepts/Concepts";
import { Correlation } from "../correlation/Correlation";
import { Items } from "../items/Items";
import { ConceptMap } from "../map/ConceptMap";
import { Overview } from "../overview/Overview";
import { Suggestions } from "../suggestions/Suggestions";
import type { View } from "./route";

export const MENU: { view: View; title: string; icon: ComponentType<{ size?: number; stroke?: number }>; show: ComponentType }[] = [
  { view: "overview", title: "Overview", icon: IconLayoutDashboard, show: Overview },
  { view: "concepts", title: "Themes and concepts", icon: IconTable, show: Concepts },
  { view: "map", title: "Concept map", icon: IconChartDots3, show: ConceptMap },
  { view: "items", title: "Items", icon: IconFileText, show: Items },
  { view: "correlation", title: "Correlation", icon: IconArrowsLeftRight, show: Correlation },
  { view: "compare", title: "Compare", icon: IconGitCompare, show: Compare },
  { view: "suggestions", title: "Suggestions", icon: IconBulb, show: Suggestions },
  { view: "chat", title: "Chat insights", icon: IconMessageCircle, show: Chat },
  { view: "card", title: "Trust and run card", icon: IconIdBadge2, show: Card },
];
