import { Button, CloseButton, MultiSelect, Select, TextInput } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useFace } from "../app/state";
import { COVERAGE, FILTERS, PERFORMANCE } from "../concepts/filters";
import type { Theme } from "../data/types";
import { shorten, visible } from "../text";

/** The filters that are most asked for on the map; those set in the table count too. */
export function MapFilters({ themes }: { themes: Theme[] | null }) {
  const { params } = useRoute();
  const face = useFace();
  const key = face === "model" ? "status" : "coverage";
  const words = face === "model" ? PERFORMANCE : COVERAGE;
  const chosen = (params.get(key) ?? "").split(",").filter((word) => words.includes(word));
  const query = params.get("q") ?? "";
  const set = FILTERS.filter((name) => name !== "ids" && params.get(name));
  const top = (themes ?? []).filter((theme) => theme.level === "theme");
  const theme = params.get("theme");
  const clear = () => go({ params: Object.fromEntries(set.map((name) => [name, null])) });
  return (
    <>
      <TextInput
        size="xs"
        w={170}
        aria-label="Search by label or number"
        placeholder="Label or number"
        data-testid="map-search"
        value={query}
        onChange={(event) => go({ params: { q: event.currentTarget.value } }, true)}
        rightSection={
          query ? (
            <CloseButton size="xs" aria-label="Clear the search" onClick={() => go({ params: { q: null } }, true)} />
          ) : undefined
        }
      />
      {top.length > 0 && (
        <Select
          size="xs"
          w={200}
          searchable
          clearable
          aria-label="Theme"
          placeholder="Any theme"
          data-testid="map-theme"
          value={top.some((entry) => String(entry.id) === theme) ? theme : null}
          data={top.map((theme) => ({
            value: String(theme.id),
            label: theme.name ? shorten(visible(theme.name), 60) : `theme ${theme.id}`,
          }))}
          onChange={(theme) => go({ params: { theme, subtheme: null } })}
        />
      )}
      <MultiSelect
        size="xs"
        miw={170}
        aria-label={face === "model" ? "Verdict" : "Coverage verdict"}
        placeholder={chosen.length ? undefined : "Any verdict"}
        data-testid={`map-${key}`}
        clearable
        value={chosen}
        data={words}
        onChange={(next) => go({ params: { [key]: next.join(",") } })}
      />
      {set.length > 0 && (
        <Button size="xs" variant="subtle" data-testid="map-clear" onClick={clear}>
          Clear {set.length} {set.length === 1 ? "filter" : "filters"}
        </Button>
      )}
    </>
  );
}
