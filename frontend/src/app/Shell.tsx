import { ActionIcon, Alert, Anchor, NavLink, SegmentedControl, Select, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconMoon, IconSun } from "@tabler/icons-react";
import { useEffect } from "react";
import { visible } from "../text";
import { Boundary } from "../ui/State";
import { Details } from "./Details";
import { address, go, useRoute } from "./route";
import { useBenchmark, useFace, useRun, useRunList } from "./state";
import { MENU } from "./views";

/** The frame of every view: menu, pickers, and the panel of an opened concept or item. */
export function Shell({ unknown }: { unknown: string | null }) {
  const run = useRun();
  const route = useRoute();
  const entry = MENU.find((one) => one.view === route.view) ?? MENU[0]!;
  useEffect(() => {
    document.title = `${entry.title} · ${visible(run.title)} · Competency Gaps`;
  }, [entry, run]);
  const opened = route.params.get("concept") !== null || route.params.get("item") !== null;
  return (
    <div className="shell">
      <Anchor className="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </Anchor>
      <Top />
      <Menu />
      <div className={opened ? "stage with-panel" : "stage"}>
        <main id="main" tabIndex={-1} aria-label={entry.title}>
          {unknown !== null && (
            <Alert color="yellow" mb="md" title="Another run is shown">
              There is no run “{visible(unknown)}” in this explorer.
            </Alert>
          )}
          <Boundary key={`${run.key}/${entry.view}`}>
            <entry.show />
          </Boundary>
        </main>
        {opened && <Details />}
      </div>
    </div>
  );
}

function Top() {
  const run = useRun();
  const { runs } = useRunList();
  const face = useFace();
  const benchmark = useBenchmark();
  return (
    <header className="top">
      <a className="brand" href={address(useRoute(), { view: "overview" })}>Competency Gaps</a>
      {runs.length > 1 && (
        <Select aria-label="Run" size="xs" w={220} value={run.key} allowDeselect={false} data-testid="run-picker"
          data={runs.map((one) => ({ value: one.key, label: visible(one.title) }))} onChange={(key) => key && go({ run: key })} />
      )}
      <Select aria-label="Benchmark" size="xs" w={220} value={benchmark === null ? "" : String(benchmark)} allowDeselect={false} searchable={run.benchmarks.length > 8}
        data-testid="benchmark-picker"
        data={[{ value: "", label: `All ${run.benchmarks.length} benchmarks` }, ...run.benchmarks.map((one, place) => ({ value: String(place), label: visible(one.name) }))]}
        onChange={(place) => go({ params: { bench: place || null } })} />
      <SegmentedControl aria-label="Question" size="xs" value={face} data-testid="face"
        data={[{ value: "model", label: "Model gaps" }, { value: "benchmark", label: "Benchmark gaps" }]}
        onChange={(chosen) => go({ params: { face: chosen === "model" ? null : chosen } })} />
      <span className="spring" />
      {run.redacted && <span className="badge">redacted: prompts and responses left out</span>}
      <ColourScheme />
    </header>
  );
}

function ColourScheme() {
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const dark = useComputedColorScheme("light") === "dark";
  const say = dark ? "Light page" : "Dark page";
  return (
    <Tooltip label={say}>
      <ActionIcon variant="subtle" color="gray" aria-label={say} data-testid="colour-scheme" onClick={() => setColorScheme(dark ? "light" : "dark")}>
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

function Menu() {
  const route = useRoute();
  return (
    <nav className="menu" aria-label="Views">
      {MENU.map(({ view, title, icon: Icon }) => (
        <NavLink key={view} href={address(route, { view })} active={route.view === view} aria-current={route.view === view ? "page" : undefined}
          label={title} leftSection={<Icon size={18} stroke={1.6} />} data-testid={`menu-${view}`} />
      ))}
    </nav>
  );
}
