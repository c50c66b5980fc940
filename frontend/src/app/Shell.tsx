import {
  ActionIcon,
  Anchor,
  Modal,
  NavLink,
  SegmentedControl,
  Select,
  Tooltip,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconBook2, IconMoon, IconSun } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { readRun } from "../data/hooks";
import type { RunInfo } from "../data/types";
import { shorten, visible } from "../text";
import { Boundary } from "../ui/State";
import { Details } from "./Details";
import { address, go, type Route, useRoute, type View } from "./route";
import { benchmarkIndex, runName, useBenchmark, useFace, useModel, useRun, useRunList } from "./state";
import { menuOf, viewOf, whyAbsent } from "./views";

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
          <AddressNotices unknown={unknown} />
          <ScoredModel />
          <Boundary key={`${run.key}/${entry.view}/${route.slice}`}>
            <entry.show />
          </Boundary>
        </main>
        {opened && <Details />}
      </div>
    </div>
  );
}

/** Views that follow the model picker; the others show the run's own model. */
const BY_MODEL: View[] = ["home", "models", "answer", "slice", "atlas", "items", "coverage"];

/** A line that says whose scores are shown and which model read the items, if these may differ. */
function ScoredModel() {
  const { scored, models } = useRun();
  const { view } = useRoute();
  if (models.length > 1 ? BY_MODEL.includes(view) : scored.model === scored.reader) return null;
  return (
    <p className="scored-model" data-testid="scored-model">
      {visible(scored.sentence)}
    </p>
  );
}

/** Say which parts of the address do not exist, so that a wrong link is noticed. */
function AddressNotices({ unknown }: { unknown: string | null }) {
  const run = useRun();
  const route = useRoute();
  const list = useRunList();
  const quoted = (text: string) => `“${shorten(visible(text), 40)}”`;
  const notices = [whyAbsent(route.view, list, run)];
  if (unknown !== null)
    notices.push(`There is no run ${quoted(unknown)} here; this is “${runName(run.key, list.runs)}”.`);
  if (route.unknown !== null) notices.push(`There is no view ${quoted(route.unknown)}; this is the first one.`);
  for (const name of ["benchmark", "x", "y"]) {
    const benchmark = route.params.get(name);
    if (benchmark !== null && benchmarkIndex(benchmark, run.benchmarks) === null)
      notices.push(`There is no benchmark ${quoted(benchmark)} in this run.`);
  }
  const model = route.params.get("model");
  if (model !== null && !run.models.includes(model))
    notices.push(`This run has no scores for the model ${quoted(model)}.`);
  const other = route.params.get("with");
  if (other !== null && !list.runs.some(({ key }) => key === other && key !== run.key))
    notices.push(`There is no other run ${quoted(other)} to compare with.`);
  const sentences = notices.filter((notice) => notice !== null);
  if (sentences.length === 0) return null;
  return (
    <div className="notice" role="status" data-testid="address-notices">
      {sentences.map((notice) => (
        <p key={notice}>{notice}</p>
      ))}
    </div>
  );
}

/** The menu entry under which a view without an entry belongs. */
const PARENTS: Partial<Record<View, View>> = { slice: "answer" };

/** Go to another run; keep the concept if both have the same SAE, and the benchmark if both have it. */
async function goToRun(key: string, from: RunInfo, { params, view }: Route): Promise<void> {
  const to = await readRun(key).catch(() => null);
  const carried: Record<string, string | null> = {};
  if (to?.sae_sha256 && to.sae_sha256 === from.sae_sha256) carried.concept = params.get("concept");
  const benchmark = params.get("benchmark");
  if (to && benchmarkIndex(benchmark, to.benchmarks) !== null) carried.benchmark = benchmark;
  // If the target was being compared with the current run, the two swap sides.
  const other = params.get("with");
  if (other !== null) carried.with = other === key ? from.key : other;
  go({ run: key, ...(PARENTS[view] ? { view: PARENTS[view] } : {}), params: carried });
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
      <a className="brand" href={address(route, { view: "home", params: { model: null, face: null } })}>
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
        {runs.length > 1 && (
          <Select
            aria-label="Run"
            size="xs"
            w={220}
            value={run.key}
            allowDeselect={false}
            data-testid="run-picker"
            data={runs.map((run) => ({ value: run.key, label: runName(run.key, runs) }))}
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
          onChange={(chosen) => {
            const params = { face: chosen === "model" ? null : chosen };
            if (chosen === "benchmark" && ["home", "models", "answer", "slice"].includes(route.view))
              go({ view: "coverage", params });
            else if (chosen === "model" && (route.view === "coverage" || !run.scored.scored))
              go({ view: "home", params });
            else go({ params });
          }}
        />
      </div>
      <span className="spring" />
      {run.redacted && (
        <span className="badge">without prompts and responses (ids, groups and lists may quote them)</span>
      )}
      <ColourScheme />
    </header>
  );
}

/** Choose the model whose scores are shown. */
function ModelPicker() {
  const { models } = useRun();
  const model = useModel();
  const { view } = useRoute();
  if (model === null || models.length < 2) return null;
  const chosen = ["answer", "slice", "atlas", "items"].includes(view);
  return (
    <Select
      aria-label="Show the scores of this model"
      title="Show the scores of this model"
      size="xs"
      w={200}
      searchable={models.length > 8}
      value={chosen ? models[model]! : null}
      placeholder={`Choose a model (${models.length})`}
      allowDeselect={false}
      data-testid="model-picker"
      data={models.map((name) => ({ value: name, label: visible(name) }))}
      onChange={(model) => go({ params: { model }, ...(chosen ? {} : { view: "answer" }) })}
    />
  );
}

function ColourScheme() {
  const { setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const dark = useComputedColorScheme("light") === "dark";
  const label = dark ? "Switch to light colours" : "Switch to dark colours";
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={label}
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
  const nav = useRef<HTMLElement>(null);
  const [open, glossary] = useDisclosure(false);
  const shown = viewOf(route.view, list, run).view;
  // In a narrow window the menu is one line, wider than the window. Scrolling into view would also move the place from
  // which the Tab key goes on.
  useEffect(() => {
    const menu = nav.current;
    const current = menu?.querySelector<HTMLElement>("[aria-current]");
    if (!menu || !current) return;
    const [list, entry] = [menu.getBoundingClientRect(), current.getBoundingClientRect()];
    menu.scrollLeft += entry.left + entry.width / 2 - (list.left + list.width / 2);
  }, [route.view]);
  return (
    <nav className="menu" aria-label="Views" ref={nav}>
      {menuOf(list, run).map(({ view, title, icon: Icon }) => {
        const current = shown === view || PARENTS[shown] === view;
        return (
          <NavLink
            key={view}
            href={address(route, { view })}
            active={current}
            aria-current={current ? "page" : undefined}
            label={title}
            leftSection={<Icon size={18} stroke={1.6} />}
            data-testid={`menu-${view}`}
          />
        );
      })}
      <NavLink
        component="button"
        label="Glossary"
        leftSection={<IconBook2 size={18} stroke={1.6} />}
        data-testid="menu-glossary"
        onClick={glossary.open}
      />
      <Modal
        lockScroll={false}
        opened={open}
        onClose={glossary.close}
        title="Glossary"
        size="lg"
        closeButtonProps={{ "aria-label": "Close" }}
      >
        <dl className="glossary" data-testid="glossary">
          {run.glossary.map(({ key, title, meaning }) => (
            <div key={key}>
              <dt>{title}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </Modal>
    </nav>
  );
}
