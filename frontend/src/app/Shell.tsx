import {
  ActionIcon,
  Anchor,
  NavLink,
  SegmentedControl,
  Select,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { IconBook2, IconMoon, IconSun } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { readRun, readThemes, useLoaded } from "../data/hooks";
import type { RunInfo } from "../data/types";
import { Glossary } from "../glossary/Glossary";
import { shorten, visible } from "../text";
import { Boundary } from "../ui/State";
import { carried } from "./carry";
import { Details } from "./Details";
import { familyOf, headOf, heads, modelsOf, outcomeWords, runOf } from "./family";
import { oddities } from "./odd";
import { address, go, type Route, useRoute, type View } from "./route";
import { runName } from "./runName";
import { useBenchmark, useFace, useRun, useRunList } from "./state";
import { absent, menuOf, viewOf } from "./views";

/** The frame of every view: menu, pickers, and the panel of an opened concept or item. */
export function Shell({ unknown }: { unknown: string | null }) {
  const run = useRun();
  const list = useRunList();
  const { runs } = list;
  const route = useRoute();
  const entry = viewOf(route.view, list, run);
  useEffect(() => {
    document.title = `${entry.title} · ${runName(run.key, runs)} · Competency Gaps`;
  }, [entry, run, runs]);
  const opened = route.params.get("concept") !== null || route.params.get("item") !== null;
  return (
    <div className="shell">
      <Anchor
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to content
      </Anchor>
      <Top />
      <Menu />
      <div className={opened ? "stage with-panel" : "stage"}>
        <main id="main" tabIndex={-1} aria-label={entry.title}>
          {unknown !== null && (
            <div className="notice" role="status">
              <p>
                There is no run “{shorten(visible(unknown), 80)}” in this explorer: “{runName(run.key, runs)}” is shown.
              </p>
            </div>
          )}
          <Whose />
          <Odd />
          <Boundary key={`${run.key}/${entry.view}/${route.rest}`}>
            <entry.show />
          </Boundary>
        </main>
        {opened && <Details />}
      </div>
      {route.params.has("glossary") && <Glossary />}
    </div>
  );
}

/** Whose scores are shown and by which model the items are read, wherever these may be different models. */
function Whose() {
  const { key, scored } = useRun();
  const { runs } = useRunList();
  const alone = familyOf(key, runs).length === 0 && scored.kind === "score";
  if (alone && scored.model === scored.reader) return null;
  return (
    <p className="whose" data-testid="whose">
      {visible(scored.sentence)}
    </p>
  );
}

/** What the address asks for in vain. */
function Odd() {
  const run = useRun();
  const route = useRoute();
  const list = useRunList();
  const others = list.runs.filter((other) => other.key !== run.key);
  const why = absent(route.view, list, run);
  const asked =
    ["concepts", "map"].includes(route.view) && ["theme", "subtheme"].some((name) => route.params.has(name));
  const themes = useLoaded(asked && run.has.themes ? run.key : null, () => readThemes(run.key));
  const notices = [
    ...(why === null ? [] : [why]),
    ...oddities(
      route,
      run,
      others.map((other) => other.key),
      themes.data?.themes ?? null,
    ),
  ];
  if (notices.length === 0) return null;
  return (
    <div className="notice" role="status" data-testid="odd-address">
      {notices.map((notice) => (
        <p key={notice}>{notice}</p>
      ))}
    </div>
  );
}

/** Views of one thing of a run, and the view of the menu that lists these. */
const PARENTS: Partial<Record<View, View>> = { finding: "findings", entry: "matches" };

/** Shows another run, with whatever of the address is true of it too. */
async function goToRun(key: string, from: RunInfo, { params, view }: Route): Promise<void> {
  try {
    const to = await readRun(key);
    const themes =
      from.has.themes && to.has.themes && (params.has("theme") || params.has("subtheme"))
        ? await Promise.all([readThemes(from.key), readThemes(key)])
        : null;
    go({
      run: key,
      ...(PARENTS[view] ? { view: PARENTS[view] } : {}),
      params: carried(params, from, to, themes),
    });
  } catch {
    // The run itself says why it cannot be read.
    go({ run: key });
  }
}

function Top() {
  const run = useRun();
  const { runs } = useRunList();
  const face = useFace();
  const benchmark = useBenchmark();
  const route = useRoute();
  const [unfolded, setUnfolded] = useState(false);
  return (
    <header className="top">
      <a className="brand" href={address(route, { view: "overview" })}>
        Competency Gaps
      </a>
      {/* Seen in narrow windows only, where the pickers would take a fifth of the page. */}
      <button
        type="button"
        className="link fold"
        aria-expanded={unfolded}
        aria-controls="pickers"
        data-testid="fold"
        onClick={() => setUnfolded(!unfolded)}
      >
        <span>
          {face === "model" ? "Model gaps" : "Benchmark gaps"} <span aria-hidden="true">{unfolded ? "▴" : "▾"}</span>
        </span>
        <span className="fold-of">
          {runs.length > 1 && `${shorten(runName(run.key, runs), 40)}, `}
          {benchmark === null ? "all benchmarks" : shorten(visible(run.benchmarks[benchmark]!.name), 24)}
        </span>
      </button>
      <div id="pickers" className={unfolded ? "pickers unfolded" : "pickers"}>
        {heads(runs).length > 1 && (
          <Select
            aria-label="Run"
            size="xs"
            w={220}
            value={headOf(run.key, runs)}
            allowDeselect={false}
            data-testid="run-picker"
            data={heads(runs).map((run) => ({ value: run.key, label: runName(run.key, runs) }))}
            onChange={(key) => key && void goToRun(key, run, route)}
          />
        )}
        <ModelPicker />
        <Select
          aria-label="Benchmark"
          size="xs"
          w={220}
          value={benchmark === null ? "" : run.benchmarks[benchmark]!.name}
          allowDeselect={false}
          searchable={run.benchmarks.length > 8}
          data-testid="benchmark-picker"
          data={[
            {
              value: "",
              label: run.benchmarks.length === 1 ? "The whole suite" : `All ${run.benchmarks.length} benchmarks`,
            },
            ...run.benchmarks.map((benchmark) => ({ value: benchmark.name, label: visible(benchmark.name) })),
          ]}
          onChange={(name) => go({ params: { benchmark: name || null } })}
        />
        <SegmentedControl
          aria-label="Question"
          size="xs"
          value={face}
          data-testid="face"
          data={[
            { value: "model", label: "Model gaps" },
            { value: "benchmark", label: "Benchmark gaps" },
          ]}
          onChange={(chosen) => go({ params: { face: chosen === "model" ? null : chosen } })}
        />
      </div>
      <span className="spring" />
      {run.redacted && <span className="badge">redacted: prompts and responses left out</span>}
      <ColourScheme />
    </header>
  );
}

/** The model whose scores are shown, and what its scores are set against. */
function ModelPicker() {
  const run = useRun();
  const { runs } = useRunList();
  const route = useRoute();
  const family = familyOf(run.key, runs);
  const here = family.find((member) => member.key === run.key);
  if (!here) return null;
  const outcomes = family.filter((member) => member.scored.model === here.scored.model);
  const open = (key: string | undefined) => key && void goToRun(key, run, route);
  return (
    <>
      <Select
        aria-label="Model whose scores are shown"
        title="Model whose scores are shown"
        size="xs"
        w={200}
        searchable={modelsOf(family).length > 8}
        value={here.scored.model}
        allowDeselect={false}
        data-testid="model-picker"
        data={modelsOf(family)}
        onChange={(model) => open(model === null ? undefined : runOf(model, here, family)?.key)}
      />
      <Select
        aria-label="What its scores are set against"
        title="What its scores are set against"
        size="xs"
        w={170}
        value={here.key}
        allowDeselect={false}
        data-testid="outcome-picker"
        data={outcomes.map((member) => ({ value: member.key, label: shorten(outcomeWords(member), 60) }))}
        onChange={(key) => open(key ?? undefined)}
      />
    </>
  );
}

function ColourScheme() {
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const dark = useComputedColorScheme("light") === "dark";
  const say = dark ? "Light page" : "Dark page";
  return (
    <Tooltip label={say}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={say}
        data-testid="colour-scheme"
        onClick={() => setColorScheme(dark ? "light" : "dark")}
      >
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

function Menu() {
  const run = useRun();
  const route = useRoute();
  const list = useRunList();
  const place = useRef<HTMLElement>(null);
  // In a narrow window the menu is one line, wider than the window. Scrolling into view would also move the place from
  // which the Tab key goes on.
  useEffect(() => {
    const menu = place.current;
    const here = menu?.querySelector<HTMLElement>("[aria-current]");
    if (!menu || !here) return;
    const [list, entry] = [menu.getBoundingClientRect(), here.getBoundingClientRect()];
    menu.scrollLeft += entry.left + entry.width / 2 - (list.left + list.width / 2);
  }, [route.view]);
  return (
    <nav className="menu" aria-label="Views" ref={place}>
      {menuOf(list, run).map(({ view, title, icon: Icon }) => {
        const here = route.view === view || PARENTS[route.view] === view;
        return (
          <NavLink
            key={view}
            href={address(route, { view })}
            active={here}
            aria-current={here ? "page" : undefined}
            label={title}
            leftSection={<Icon size={18} stroke={1.6} />}
            data-testid={`menu-${view}`}
          />
        );
      })}
      <NavLink
        href={address(route, { params: { glossary: "all" } })}
        label="Glossary"
        leftSection={<IconBook2 size={18} stroke={1.6} />}
        data-testid="menu-glossary"
      />
    </nav>
  );
}
