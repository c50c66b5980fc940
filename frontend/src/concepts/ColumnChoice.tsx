import { Button, Checkbox, Popover } from "@mantine/core";
import { IconColumns3 } from "@tabler/icons-react";
import { go } from "../app/route";
import type { Quantity } from "../data/types";

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
