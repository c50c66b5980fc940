import { Button, Checkbox, Popover, Select, Switch } from "@mantine/core";
import { IconColumns3 } from "@tabler/icons-react";
import { go, useRoute } from "../app/route";
import type { Quantity } from "../data/types";
import { statusWord } from "../ui/Marks";
import { SearchField } from "../ui/SearchField";
import { COVERAGE, FILTERS, PERFORMANCE } from "./table";

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

/** Chooses columns. An address without a choice shows what fits the question, whatever is asked next. */
export function ColumnChoice({
  columns,
  shown,
  defaults,
}: {
  columns: Quantity[];
  shown: string[];
  defaults: string[];
}) {
  const choose = (next: string[]) => {
    const ordered = columns.map(({ key }) => key).filter((key) => next.includes(key));
    go({ params: { cols: ordered.join() === defaults.join() ? null : ordered.join() || "none" } }, true);
  };
  return (
    <Popover position="bottom-end" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconColumns3 size={14} />} data-testid="columns">
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="popover" aria-label="Columns">
        <Checkbox.Group value={shown} onChange={choose}>
          {columns.map(({ key, title, hint }) => (
            <Checkbox
              key={key}
              size="xs"
              mb={10}
              value={key}
              label={title}
              description={hint}
              data-testid={`column-${key}`}
            />
          ))}
        </Checkbox.Group>
        <Button size="xs" variant="light" onClick={() => choose(defaults)}>
          Reset to the default
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
