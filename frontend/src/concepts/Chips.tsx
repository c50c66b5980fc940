import { Button } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { go, useRoute } from "../app/route";
import { onlyHere, useSelection } from "../app/selection";
import type { Theme, ThemeFile } from "../data/types";
import { integer, plural } from "../format";
import { shorten, visible } from "../text";
import { bound, COVERAGE, FILTERS, onlyLeftOut, PERFORMANCE, shownKinds } from "./filters";
import { KIND_WORDS } from "./kinds";
import { themeName } from "./themes";

/** The filters that are set and not seen elsewhere, each with a way to remove it, and all at once. */
export function Chips({ themes }: { themes: ThemeFile | null }) {
  const params = useRoute().params;
  const selection = useSelection();
  const chips: { text: string; params: string[] }[] = [];
  for (const level of ["theme", "subtheme"] as const) {
    const id = params.get(level);
    if (id === null) continue;
    const name = named(themes, level, id);
    chips.push({ text: `${level}: ${name}`, params: level === "theme" ? ["theme", "subtheme"] : ["subtheme"] });
  }
  const finding = params.get("finding");
  if (finding !== null) chips.push({ text: `finding ${Number(finding) + 1}`, params: ["finding"] });
  const unshared = onlyHere(params.get("ids")) ? " (too large for a link: only in this tab)" : "";
  if (params.has("ids"))
    chips.push({
      text: selection
        ? `selection: ${plural(selection.length, "concept")}${unshared}`
        : "selection made in another tab",
      params: ["ids"],
    });
  for (const [param, words] of [
    ["status", PERFORMANCE],
    ["coverage", COVERAGE],
  ] as const) {
    const given = params.get(param);
    if (given !== null && !words.includes(given))
      chips.push({ text: `${param}: ${given.replaceAll(",", " or ")}`, params: [param] });
  }
  const range = (name: string, text: string) => {
    const value = bound(params, name);
    if (value !== null) chips.push({ text: `${text} ${value}`, params: [name] });
  };
  range("n_eff", "n_eff ≥");
  range("qmax", "q ≤");
  range("liftmin", "lift ≥");
  range("liftmax", "lift ≤");
  const kinds = shownKinds(params.get("kinds"));
  if (kinds.length)
    chips.push({
      text: `${onlyLeftOut(params) ? "only" : "also"} ${kinds.map((kind) => KIND_WORDS[kind]).join(", ")}`,
      params: ["kinds", "only"],
    });
  const any = FILTERS.some((name) => params.has(name));
  return (
    <>
      {chips.map((chip) => (
        <button
          key={chip.params[0]}
          type="button"
          className="chip"
          aria-label={`Remove: ${visible(chip.text)}`}
          onClick={() => go({ params: taken(chip.params) })}
        >
          <bdi>{shorten(visible(chip.text), 60)}</bdi> <IconX size={12} aria-hidden="true" />
        </button>
      ))}
      {any && (
        <Button
          size="compact-xs"
          variant="subtle"
          data-testid="clear-filters"
          onClick={() => go({ params: taken([...FILTERS]) })}
        >
          Clear all filters
        </Button>
      )}
    </>
  );
}

const taken = (names: string[]) => Object.fromEntries(names.map((name) => [name, null]));

function named(themes: ThemeFile | null, level: Theme["level"], id: string): string {
  const theme = themes?.themes.find((theme) => theme.level === level && String(theme.id) === id);
  return theme ? themeName(theme) : `${id}`;
}

/**
 * How many concepts are shown, and how many are hidden because of their kind. `beside`: the concept whose number was
 * searched for, if the filters leave it out.
 */
export function Count({
  shown,
  all,
  hidden,
  order,
  beside,
}: {
  shown: number;
  all: number;
  hidden: number;
  order: string;
  beside: number | null;
}) {
  return (
    <span className="count" aria-live="polite" data-testid="count">
      <b>{integer(shown)}</b> of {integer(all)} concepts
      <span className="soft">
        , {order}
        {hidden > 0 && ` (${integer(hidden)} concepts of other kinds or never active hidden)`}
        {beside !== null && `; concept ${beside}, found by its number, does not pass the filters`}
      </span>
    </span>
  );
}
