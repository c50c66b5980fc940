import { Button, Select, Switch } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { statusWord } from "../ui/Marks";
import { SearchField } from "../ui/SearchField";
import { COVERAGE, FILTERS, PERFORMANCE } from "./filters";

/** Search and filters of concepts, beside the tree of regions. All of them lie in the address. */
export function ConceptFilters() {
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
  return (
    <>
      <SearchField label="Search concepts by label or number" placeholder="Label or number" testId="concept-search" />
      {word("status", "Verdict", PERFORMANCE)}
      {word("coverage", "Coverage", COVERAGE)}
      <Switch
        size="xs"
        label="Show unranked"
        title="Concepts about what a text looks like (token, format, template …), mixed ones, and those never active"
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
