import {
  ActionIcon,
  Button,
  Checkbox,
  NumberInput,
  Popover,
  type PopoverProps,
  Select,
  Switch,
  TextInput,
} from "@mantine/core";
import { IconAdjustmentsHorizontal, IconColumns3, IconDownload, IconSearch, IconX } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { go, useRoute } from "../app/route";
import type { ColumnSpec, RunInfo } from "../data/types";
import { statusWord } from "../ui/Marks";
import { sharedMeasures } from "./columns";
import { bound, COVERAGE, onlyLeftOut, PERFORMANCE, shownKinds } from "./filters";
import { KIND_WORDS, KINDS, type Kind, kindMeanings } from "./kinds";

/** A popover is as high as the window has room for and scrolls inside, so that it never makes the page scroll. */
const BOUNDED: PopoverProps["middlewares"] = {
  size: {
    padding: 12,
    apply: ({ availableHeight, elements }) =>
      elements.floating.style.setProperty("--room", `${Math.max(120, Math.floor(availableHeight))}px`),
  },
};

interface Tools {
  run: RunInfo;
  columns: ColumnSpec[];
  shown: string[];
  defaults: string[];
  onDownload: (kind: "csv" | "parquet") => void;
}

/** Search, filters, columns and downloads. All but the downloads lies in the address. */
export function Toolbar({ run, columns, shown, defaults, onDownload }: Tools) {
  const measures = sharedMeasures(run);
  const each = useRoute().params.get("each");
  return (
    // Escape closes what is open here, and not the panel beside the page as well.
    <div
      className="tools"
      role="search"
      aria-label="Choose concepts"
      onKeyDown={(event) => event.key === "Escape" && event.preventDefault()}
    >
      <Search />
      <Words param="status" label="Verdict" words={PERFORMANCE} />
      <Words param="coverage" label="Coverage" words={COVERAGE} />
      <More run={run} />
      <span className="spring" />
      {run.benchmarks.length > 1 && (
        <Select
          size="xs"
          w={196}
          aria-label="A column per benchmark"
          placeholder="Per benchmark"
          clearable
          data-testid="per-benchmark"
          data={measures.map((spec) => ({ value: spec.key, label: `${spec.title} per benchmark` }))}
          value={measures.some((spec) => spec.key === each) ? each : null}
          onChange={(value) => go({ params: { each: value } })}
        />
      )}
      <Columns columns={columns} shown={shown} defaults={defaults} />
      <Button.Group>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconDownload size={14} />}
          aria-label="Download as CSV"
          data-testid="download-csv"
          onClick={() => onDownload("csv")}
        >
          CSV
        </Button>
        <Button
          size="xs"
          variant="default"
          aria-label="Download as Parquet"
          data-testid="download-parquet"
          onClick={() => onDownload("parquet")}
        >
          Parquet
        </Button>
      </Button.Group>
    </div>
  );
}

function Search() {
  const query = useRoute().params.get("q") ?? "";
  const input = useRef<HTMLInputElement>(null);
  // A stroke shows at once; the table follows when it can.
  const [typed, setTyped] = useState(query);
  useEffect(() => setTyped(query), [query]);
  const set = (text: string) => {
    setTyped(text);
    go({ params: { q: text } }, true);
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : null;
      if (
        event.key !== "/" ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        target?.closest("input, textarea, select, [contenteditable]")
      )
        return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <TextInput
      ref={input}
      size="xs"
      className="search"
      aria-label="Search concepts by label or number"
      placeholder="Search label or number ( / )"
      data-testid="table-search"
      leftSection={<IconSearch size={14} />}
      value={typed}
      onChange={(event) => set(event.currentTarget.value)}
      rightSection={
        typed ? (
          <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Clear the search" onClick={() => set("")}>
            <IconX size={13} />
          </ActionIcon>
        ) : null
      }
    />
  );
}

function Words({ param, label, words }: { param: string; label: string; words: string[] }) {
  const given = useRoute().params.get(param);
  return (
    <Select
      size="xs"
      w={138}
      aria-label={label}
      placeholder={`Any ${label.toLowerCase()}`}
      clearable
      data-testid={`filter-${param}`}
      data={words.map((value) => ({ value, label: statusWord(value) }))}
      value={words.some((word) => word === given) ? given : null}
      onChange={(value) => go({ params: { [param]: value } })}
    />
  );
}

function More({ run }: { run: RunInfo }) {
  const params = useRoute().params;
  const meanings = useMemo(() => kindMeanings(run.settings), [run]);
  const kinds = shownKinds(params.get("kinds"));
  const set =
    ["n_eff", "qmax", "liftmin", "liftmax"].filter((name) => bound(params, name) !== null).length +
    (kinds.length ? 1 : 0);
  const toggle = (kind: Kind, on: boolean) => {
    const next = KINDS.filter((option) => (option === kind ? on : kinds.includes(option)));
    go({
      params: {
        kinds: next.length === KINDS.length ? "all" : next.join(",") || null,
        only: next.length && onlyLeftOut(params) ? 1 : null,
      },
    });
  };
  return (
    <Popover position="bottom-start" shadow="md" trapFocus returnFocus middlewares={BOUNDED}>
      <Popover.Target>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconAdjustmentsHorizontal size={14} />}
          data-testid="more-filters"
        >
          {set ? `Filters (${set})` : "Filters"}
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="popover" aria-label="Filters">
        <div className="pair-of">
          <Bound param="n_eff" label="n_eff, at least" min={0} step={10} />
          <Bound param="qmax" label="q, at most" min={0} max={1} step={0.01} />
          <Bound param="liftmin" label="lift, from" step={0.5} />
          <Bound param="liftmax" label="lift, to" step={0.5} />
        </div>
        <Checkbox.Group label="Also show concepts that are" size="xs" value={kinds}>
          {KINDS.map((kind) => (
            <Checkbox
              key={kind}
              size="xs"
              mt={8}
              value={kind}
              label={KIND_WORDS[kind]}
              description={meanings[kind]}
              data-testid={`kind-${kind}`}
              onChange={(event) => toggle(kind, event.currentTarget.checked)}
            />
          ))}
        </Checkbox.Group>
        <Switch
          size="xs"
          mt={12}
          label="Show only these, not the others"
          disabled={kinds.length === 0}
          checked={onlyLeftOut(params)}
          data-testid="only-left-out"
          onChange={(event) => go({ params: { only: event.currentTarget.checked ? 1 : null } })}
        />
      </Popover.Dropdown>
    </Popover>
  );
}

function Bound({
  param,
  label,
  ...limits
}: {
  param: string;
  label: string;
  min?: number;
  max?: number;
  step: number;
}) {
  const given = bound(useRoute().params, param);
  return (
    <NumberInput
      size="xs"
      label={label}
      data-testid={`filter-${param}`}
      {...limits}
      value={given ?? ""}
      onChange={(value) => go({ params: { [param]: value === "" ? null : value } }, true)}
    />
  );
}

function Columns({ columns, shown, defaults }: Pick<Tools, "columns" | "shown" | "defaults">) {
  const toggle = (key: string, on: boolean) => {
    const next = columns.map((spec) => spec.key).filter((text) => (text === key ? on : shown.includes(text)));
    // An address without a choice shows what fits the question, whatever is asked next.
    go({ params: { cols: next.join() === defaults.join() ? null : next.join() || "none" } }, true);
  };
  return (
    <Popover position="bottom-end" shadow="md" trapFocus returnFocus middlewares={BOUNDED}>
      <Popover.Target>
        <Button size="xs" variant="default" leftSection={<IconColumns3 size={14} />} data-testid="columns">
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="popover columns-choice" aria-label="Columns">
        {columns.map((spec) => (
          <Checkbox
            key={spec.key}
            size="xs"
            checked={shown.includes(spec.key)}
            label={spec.title}
            description={spec.hint}
            data-testid={`column-${spec.key}`}
            onChange={(event) => toggle(spec.key, event.currentTarget.checked)}
          />
        ))}
        <Button
          size="xs"
          variant="light"
          disabled={shown.join() === defaults.join()}
          onClick={() => go({ params: { cols: null } }, true)}
        >
          Reset to the default
        </Button>
      </Popover.Dropdown>
    </Popover>
  );
}
