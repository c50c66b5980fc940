import { SegmentedControl, Select, useComputedColorScheme } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { address, go, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { ConceptFilters } from "../concepts/ConceptFilters";
import { FILTERS, tests } from "../concepts/filters";
import { themeName } from "../concepts/ThemeList";
import { useConceptTable } from "../concepts/useConceptTable";
import { everyRow, numbers, select, type Table } from "../data/table";
import type { ThemeName } from "../data/types";
import { integer, magnitude, plural, signed } from "../format";
import { shorten, visible } from "../text";
import { Heading } from "../ui/Heading";
import { HeatBar } from "../ui/Heat";
import { Empty, Failed, Loading } from "../ui/State";
import { ConceptTip } from "./ConceptTip";
import { COLOURINGS, type Colouring, type Colours, colours, radii } from "./colouring";
import type { Axes, Name, Point } from "./draw";
import { Scatter } from "./Scatter";
import "./map.css";

const COLOUR_NAMES: Record<Colouring, string> = {
  status: "verdict",
  gap: "gap",
  coverage: "coverage",
  theme: "theme",
};

const GAPS: Axes = {
  x: { title: "Coverage (χ bench)", log: true, text: (value) => magnitude(value) },
  y: { title: "Gap", text: (value) => signed(value), neutral: 0 },
};

/** Every concept as a point: by meaning, or coverage against gap. */
export function ConceptMap() {
  const run = useRun();
  const { table, error } = useConceptTable(run, useBenchmark());
  return (
    <div className="map-view">
      <Heading>Concept map</Heading>
      {error ? <Failed error={error} /> : !table ? <Loading what="the concepts" /> : <Shown table={table} />}
    </div>
  );
}

function Shown({ table }: { table: Table }) {
  const run = useRun();
  const { themes } = run;
  const route = useRoute();
  const { params } = route;
  const face = useFace();
  const dark = useComputedColorScheme("light") === "dark";
  const layout = run.has.map && params.get("layout") !== "gaps" ? "meaning" : "gaps";
  const offered = COLOURINGS.filter((colouring) => colouring !== "theme" || themes.length > 0);
  const by = offered.find((known) => known === params.get("colour")) ?? (face === "model" ? "status" : "coverage");
  const query = useDeferredValue(
    FILTERS.map((name) => `${name}=${encodeURIComponent(params.get(name) ?? "")}`).join("&"),
  );
  const painted = useMemo(() => colours(by, table, themes, dark), [by, table, themes, dark]);
  const points = useMemo(() => placed(table, layout, painted, query), [table, layout, painted, query]);
  const names = useMemo(() => (layout === "meaning" ? named(themes, table) : []), [layout, themes, table]);
  const shown = points.filter((point) => !point.backdrop).length;
  const off = table.rows - points.length;
  const kept = Object.fromEntries(FILTERS.map((name) => [name, params.get(name)]));
  return (
    <>
      <p className="lead">
        Each point is a concept; larger points are active in more items. {integer(shown)} of{" "}
        {plural(points.length, "concept")} on the map{shown < points.length && " pass the filters, the others are grey"}
        .{off > 0 && ` ${integer(off)} more have no ${layout === "meaning" ? "theme" : "coverage above 0 or no gap"}.`}
        {!run.has.map && " The run has no map by meaning."}{" "}
        <a href={address(route, { view: "concepts", params: kept })}>The same concepts as a table</a>
      </p>
      <div className="tools map-controls">
        {run.has.map && (
          <SegmentedControl
            size="xs"
            aria-label="Layout"
            data-testid="map-layout"
            value={layout}
            data={[
              { value: "meaning", label: "By meaning" },
              { value: "gaps", label: "Coverage against gap" },
            ]}
            onChange={(chosen) => go({ params: { layout: chosen === "gaps" ? chosen : null } })}
          />
        )}
        <Select
          size="xs"
          w={165}
          aria-label="Colour by"
          data-testid="map-colour"
          value={by}
          allowDeselect={false}
          data={offered.map((value) => ({ value, label: `Colour: ${COLOUR_NAMES[value]}` }))}
          onChange={(chosen) => go({ params: { colour: chosen } })}
        />
        <ConceptFilters />
      </div>
      {points.length === 0 ? (
        <Empty>No concept has a place here: none has both a coverage above 0 and a gap.</Empty>
      ) : (
        <>
          <Scatter
            key={layout}
            points={points}
            axes={layout === "meaning" ? null : GAPS}
            names={names}
            wheel
            testId="map-canvas"
            label={`${COLOUR_NAMES[by]} of ${plural(shown, "concept")}.`}
            tip={(concept) => <ConceptTip table={table} concept={concept} face={face} />}
          />
          <Legend colours={painted} />
        </>
      )}
    </>
  );
}

/** Concepts that have a place: those that the filters leave out first, what is sought on top. */
function placed(table: Table, layout: "meaning" | "gaps", { of, sought }: Colours, query: string): Point[] {
  const [x, y] = layout === "meaning" ? ["x", "y"] : ["chi_bench", "gap"];
  const [across, upwards] = [numbers(table, x!), numbers(table, y!)];
  const passing = new Set(select(table.rows, tests(new URLSearchParams(query), table)));
  const rows = [...everyRow(table.rows)].filter(
    (row) => !Number.isNaN(upwards[row]!) && (layout === "meaning" ? !Number.isNaN(across[row]!) : across[row]! > 0),
  );
  const radius = radii(numbers(table, "support"), rows.length);
  const layer = (row: number) => (passing.has(row) ? 1 + Number(sought(row)) : 0);
  return rows
    .sort((a, b) => layer(a) - layer(b) || radius(b) - radius(a))
    .map((id) => ({
      id,
      x: across[id]!,
      y: upwards[id]!,
      colour: of(id),
      radius: radius(id) * [0.6, 1, 1.35][layer(id)]!,
      opacity: passing.has(id) ? 0.9 : 0.2,
      backdrop: !passing.has(id),
    }));
}

/** The themes' names at the median of their concepts, the largest first. */
function named(themes: ThemeName[], table: Table): Name[] {
  const [of, x, y] = [numbers(table, "theme"), numbers(table, "x"), numbers(table, "y")];
  const rows = [...everyRow(table.rows)].filter((row) => !Number.isNaN(x[row]!));
  const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  return themes
    .filter((theme) => theme.level === "theme")
    .map((theme) => ({ theme, own: rows.filter((row) => of[row] === theme.id) }))
    .filter(({ own }) => own.length > 0)
    .sort((a, b) => b.own.length - a.own.length)
    .map(({ theme, own }) => ({
      text: shorten(visible(themeName(theme)), 40),
      x: middle(own.map((row) => x[row]!)),
      y: middle(own.map((row) => y[row]!)),
    }));
}

function Legend({ colours: { ramp, entries } }: { colours: Colours }) {
  return (
    <ul className="legend" data-testid="map-legend">
      {ramp && (
        <li>
          <HeatBar {...ramp} />
        </li>
      )}
      {entries.map(({ name, colour }) => (
        <li key={name}>
          <span className="legend-dot" style={{ background: colour }} /> {name}
        </li>
      ))}
    </ul>
  );
}
