import { Button, Select, Switch } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { shorten, visible } from "../text";
import { statusWord } from "../ui/Marks";
import { SearchField } from "../ui/SearchField";
import { COVERAGE, FILTERS, PERFORMANCE } from "./filters";
import { themeName } from "./ThemeList";

/** Search and filters of concepts, in the table and on the map. All of them lie in the address. */
export function ConceptFilters() {
  const { themes } = useRun();
  const { params } = useRoute();
  const word = (param: string, label: string, words: string[]) => (
    <Select
      size="xs"
      w={138}
      aria-label={label}
      placeholder={`Any ${label.toLowerCase()}`}
      clearable
      data-testid={`filter-${param}`}
      data={words.map((value) => ({ value, label: statusWord(value) }))}
      value={words.find((word) => word === params.get(param)) ?? null}
      onChange={(value) => go({ params: { [param]: value } })}
    />
  );
  const top = themes.filter((theme) => theme.level === (params.has("subtheme") ? "subtheme" : "theme"));
  const level = params.has("subtheme") ? "subtheme" : "theme";
  return (
    <>
      <SearchField label="Search concepts by label or number" placeholder="Label or number" testId="concept-search" />
      {word("status", "Verdict", PERFORMANCE)}
      {word("coverage", "Coverage", COVERAGE)}
      {top.length > 0 && (
        <Select
          size="xs"
          w={190}
          aria-label="Theme"
          placeholder="Any theme"
          clearable
          searchable
          data-testid="filter-theme"
          data={top.map((theme) => ({ value: String(theme.id), label: shorten(visible(themeName(theme)), 60) }))}
          value={params.get(level)}
          onChange={(id) => go({ params: { subtheme: null, [level]: id } })}
        />
      )}
      <Switch
        size="xs"
        label="Unranked too"
        title="Concepts that say what a text looks like (token, format, template …), mixed ones, and ones never active"
        data-testid="filter-kinds"
        checked={params.get("kinds") === "all"}
        onChange={(event) => go({ params: { kinds: event.currentTarget.checked ? "all" : null } })}
      />
      {FILTERS.some((name) => params.has(name)) && (
        <Button
          size="compact-xs"
          variant="subtle"
          data-testid="clear-filters"
          onClick={() => go({ params: Object.fromEntries(FILTERS.map((name) => [name, null])) })}
        >
          Clear filters
        </Button>
      )}
    </>
  );
}
