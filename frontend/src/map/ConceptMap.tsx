import { Button, SegmentedControl, Select, useComputedColorScheme } from "@mantine/core";
import { IconLassoPolygon } from "@tabler/icons-react";
import { useCallback, useDeferredValue, useState } from "react";
import { go, useRoute } from "../app/route";
import { setSelection, useSelection } from "../app/selection";
import { useBenchmark, useFace, useNumberParam, useRun } from "../app/state";
import { useConceptTable } from "../concepts/useConceptTable";
import { useThemes } from "../data/hooks";
import type { Table } from "../data/table";
import type { ThemeFile } from "../data/types";
import { integer, magnitude, plural, signed } from "../format";
import { Heading } from "../ui/Heading";
import { Empty, Failed, Loading } from "../ui/State";
import type { Layout } from "./arrange";
import type { Axis } from "./axes";
import { Chosen } from "./Chosen";
import { ConceptTip } from "./ConceptTip";
import { COLOURINGS, type Colouring } from "./colouring";
import { LegendBox } from "./Legend";
import { MapFilters } from "./MapFilters";
import { spotOf, spotParam } from "./points";
import { Scatter } from "./Scatter";
import { ThemeNames } from "./ThemeNames";
import { useDrawn } from "./useDrawn";
import "./map.css";

const COLOUR_NAMES: Record<Colouring, string> = {
  gap: "gap",
  status: "verdict",
  coverage: "coverage",
  lift: "lift",
  theme: "theme",
};

/** What is coloured by, as a column of the table. */
const COLUMNS = { gap: "gap", status: "performance_status", coverage: "chi_bench", lift: "lift" };

const AXES: { x: Axis; y: Axis } = {
  x: { title: "Coverage (χ bench)", log: true, text: (value) => magnitude(value) },
  y: { title: "Gap", log: false, text: signed, neutral: 0 },
};

/** As many chosen concepts get a ring; more would be a net. */
const RINGED = 60;

/** Every concept as a point: by meaning, or coverage against gap. */
export function ConceptMap() {
  const run = useRun();
  const { table, error } = useConceptTable(run, useBenchmark());
  const themes = useThemes(run);
  const failed = error ?? themes.error;
  return (
    <div className="map-view">
      <Heading>Concept map</Heading>
      {failed ? (
        <Failed error={failed} />
      ) : !table || (run.has.themes && !themes.data) ? (
        <Loading what="the concepts" />
      ) : (
        <Shown table={table} themes={themes.data} />
      )}
    </div>
  );
}

function Shown({ table, themes }: { table: Table; themes: ThemeFile | null }) {
  const run = useRun();
  const route = useRoute();
  const face = useFace();
  const dark = useComputedColorScheme("light") === "dark";
  const opened = useNumberParam("concept");
  const selection = useSelection();
  const [lasso, setLasso] = useState(false);
  const layout: Layout = run.has.map && route.params.get("layout") !== "gaps" ? "meaning" : "gaps";
  const by = colouring(route.params.get("colour"), face, themes !== null);
  const query = useDeferredValue(filterQuery(route.params));

  const { on, passes, shown, painted, points, labels } = useDrawn({
    table,
    themes,
    layout,
    by,
    query,
    selection,
    dark,
  });
  const onOpen = useCallback((concept: number) => go({ params: { concept, item: null } }), []);
  const cancel = useCallback(() => setLasso(false), []);
  const done = (ids: Uint32Array) => {
    setLasso(false);
    setSelection(ids);
  };
  return (
    <>
      <p className="lead">
        {sentence(layout, table, on, shown)}
        {!run.has.map && (
          <>
            {" "}
            The run has no map by meaning: <code>cgaps themes</code> makes one.
          </>
        )}
      </p>
      <div className="map-controls">
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
            onChange={(chosen) => go({ params: { layout: chosen === "gaps" ? chosen : null, at: null } })}
          />
        )}
        <Select
          size="xs"
          w={185}
          aria-label="Colour by"
          data-testid="map-colour"
          value={by}
          allowDeselect={false}
          data={COLOURINGS.filter((colouring) => colouring !== "theme" || themes !== null).map((colouring) => ({
            value: colouring,
            label: `Colour: ${COLOUR_NAMES[colouring]}`,
          }))}
          onChange={(chosen) => go({ params: { colour: chosen } })}
        />
        <Button
          size="xs"
          variant={lasso ? "filled" : "default"}
          aria-pressed={lasso}
          data-testid="map-lasso"
          leftSection={<IconLassoPolygon size={16} />}
          onClick={() => setLasso(!lasso)}
        >
          Lasso
        </Button>
        <MapFilters themes={themes?.themes ?? null} />
      </div>
      <div className="map-parts">
        {on.length === 0 ? (
          <Empty>No concept has a place here: none has both a coverage above 0 and a gap.</Empty>
        ) : (
          <div className="map-place">
            <Scatter
              key={layout}
              points={points}
              axes={layout === "meaning" ? null : AXES}
              wheel
              opened={opened}
              marked={selection && selection.length <= RINGED ? selection : null}
              onOpen={onOpen}
              testId="map-canvas"
              label={`${COLOUR_NAMES[by]} of ${plural(shown.length, "concept")}, which the list beside it has too.`}
              tip={(concept) => <ConceptTip table={table} concept={concept} face={face} />}
              lasso={{ on: lasso, done, cancel }}
              view={{
                start: spotOf(route.params.get("at")),
                moved: (spot) => go({ params: { at: spotParam(spot) } }, true),
              }}
              over={
                labels
                  ? (picture) => (
                      <ThemeNames picture={picture} names={picture.view.k < 2.4 ? labels.theme : labels.subtheme} />
                    )
                  : undefined
              }
            />
            {lasso && (
              <p className="map-say" role="status">
                Draw a line around points. Escape cancels.
              </p>
            )}
            <LegendBox
              legend={painted.legend}
              hint={by === "theme" ? null : `${run.columns.find((spec) => spec.key === COLUMNS[by])?.hint ?? ""}.`}
              term={by === "theme" ? null : COLUMNS[by]}
            />
          </div>
        )}
        <Chosen
          table={table}
          passes={passes}
          shown={shown.length}
          selection={selection}
          lost={route.params.get("ids") !== null && selection === null}
        />
      </div>
    </>
  );
}

function colouring(param: string | null, face: "model" | "benchmark", themes: boolean): Colouring {
  const given = COLOURINGS.find((colouring) => colouring === param && (colouring !== "theme" || themes));
  return given ?? (face === "model" ? "status" : "coverage");
}

/**
 * The filters of the address, without the selection: on the map, selected concepts stand out but do not hide the
 * others.
 */
function filterQuery(params: URLSearchParams): string {
  const kept = new URLSearchParams(params);
  for (const name of ["ids", "concept", "item", "at", "colour", "layout"]) kept.delete(name);
  return kept.toString();
}

function sentence(layout: Layout, table: Table, on: Uint32Array, shown: Uint32Array): string {
  const off = table.rows - on.length;
  const [belong, have] = off === 1 ? ["belongs", "has"] : ["belong", "have"];
  const why =
    layout === "meaning" ? `${belong} to no theme and ${have} no place on it` : `${have} no coverage above 0 or no gap`;
  const rest = off ? ` ${integer(off)} ${why}.` : "";
  const grey = shown.length < on.length ? " pass the filters, the others are grey" : "";
  const count = `${integer(shown.length)} of ${plural(on.length, "concept")} on the map`;
  return `Each point is a concept; larger points are active in more items. ${count}${grey}.${rest}`;
}
