/** The columns of the table of concepts: which there are, and how their cells are drawn. */
import type { Face } from "../app/state";
import { columnNamed, number, type Table, text, value } from "../data/table";
import type { Quantity, RunInfo } from "../data/types";
import { integer, NOT_DEFINED, points, written } from "../format";
import { shorten, visible } from "../text";
import type { GridColumn } from "../ui/Grid";
import { endDigits, IntervalBar } from "../ui/IntervalBar";
import { ConceptName, Status } from "../ui/Marks";
import { kindOf, scaleOf } from "./table";

const PLAIN = { interval: false, optional: false } as const;
const OWN: Quantity[] = [
  {
    key: "region_name",
    title: "region",
    hint: "The region of the atlas in which the concept is most active",
    kind: "text",
    face: "both",
    ...PLAIN,
  },
  {
    key: "p_value",
    title: "p",
    hint: "Two-sided p-value of the association; N/A = not tested",
    kind: "probability",
    face: "model",
    ...PLAIN,
  },
];
// Seen in the cell of the label, or seldom wanted.
const HIDDEN = [...["label_score", "peak_token", "p_value"], ...["kind", "lexical_share", "coherence"]];
/** Seldom wanted beside the verdicts, for which the window has not more room. */
const HIDDEN_OF: Record<Face, string[]> = {
  model: ["n_eff", "n_benchmarks", "region_name", "plain_association"],
  benchmark: ["density"],
};
/** Facts of a concept that are the same in every benchmark. */
const OF_CONCEPT = [
  ...["label_score", "peak_token", "region_name", "density", "n_benchmarks"],
  ...["kind", "lexical_share", "coherence"],
];
const WIDTHS: Record<Quantity["kind"], number> = {
  text: 160,
  word: 136,
  flag: 94,
  integer: 108,
  tenths: 88,
  decimal: 112,
  signed: 88,
  points: 112,
  magnitude: 100,
  probability: 80,
  percent: 96,
};

/** All columns beside the label, in order. While one benchmark is shown, those of the whole suite say so. */
export function allColumns(run: RunInfo, benchmark: number | null): Quantity[] {
  const all = [
    ...run.columns.filter((spec) => spec.key !== "label"),
    ...OWN.filter((spec) => run.regions.length > 0 || spec.key === "p_value"),
  ];
  if (benchmark === null) return all;
  return all.map((spec) =>
    run.per_benchmark.includes(spec.key) || OF_CONCEPT.includes(spec.key)
      ? spec
      : { ...spec, title: `${spec.title} (suite)` },
  );
}

/** Keys of the columns that are shown without a choice: those of the question, and within a benchmark its own. */
export function defaultColumns(run: RunInfo, face: Face, benchmark: number | null): string[] {
  return allColumns(run, benchmark)
    .filter((spec) => spec.face === face || spec.face === "both")
    .filter(
      (spec) =>
        !HIDDEN.includes(spec.key) &&
        !HIDDEN_OF[face].includes(spec.key) &&
        (benchmark === null || run.per_benchmark.includes(spec.key) || OF_CONCEPT.includes(spec.key)),
    )
    .map((spec) => spec.key);
}

/** Keys of all columns by which the table can be sorted. */
export const sortKeys = (run: RunInfo): string[] => ["label", ...allColumns(run, null).map((spec) => spec.key)];

/** The label, which is pinned in a wide window, and the chosen columns. */
export function gridColumns(run: RunInfo, table: Table, specs: Quantity[], wide: boolean): GridColumn[] {
  return [
    labelColumn(run, table, wide),
    ...specs.filter((spec) => columnNamed(table, spec.key)).map((spec) => columnOf(spec, table, !wide)),
  ];
}

function labelColumn(run: RunInfo, table: Table, pinned: boolean): GridColumn {
  return {
    key: "label",
    title: "concept",
    hint: run.columns.find((spec) => spec.key === "label")?.hint ?? "What activates the concept",
    text: (row) => `${row} ${visible(text(table, "label", row) ?? "no label")}`,
    show: (row) => <LabelCell table={table} row={row} />,
    width: pinned ? 320 : 184,
    pinned,
  };
}

/** A concept's number and label, with a warning if nobody checked the label; without a label, the token it peaks on. */
function LabelCell({ table, row }: { table: Table; row: number }) {
  const label = text(table, "label", row);
  const kind = kindOf(table, row);
  return (
    <span className="label-cell" title={label ? shorten(visible(label), 300) : undefined}>
      <ConceptName concept={row} label={label} token={text(table, "peak_token", row)} limit={120} />
      {kind && (
        <span
          className="badge"
          title={value(table, "ranked", row) === true ? "Not about what a text is about" : "Not ranked, so no verdict"}
        >
          {kind}
        </span>
      )}
      {label && text(table, "label_kind", row) === "automatic" && (
        <span className="badge auto" title="Built from words of its examples; nobody has checked it">
          auto
        </span>
      )}
    </span>
  );
}

function columnOf(spec: Quantity, table: Table, narrow: boolean): GridColumn {
  const base: GridColumn = {
    key: spec.key,
    title: spec.title,
    hint: spec.hint,
    text: (row) => cellText(spec, table, row),
    width: spec.interval ? (narrow ? 168 : 152) : WIDTHS[spec.kind],
    // Above a bar the name stands where the number does, so that it is seen even if the bar is not.
    numeric: !["text", "word", "flag"].includes(spec.kind) && !spec.interval,
    largestFirst: !["text", "word", "probability", "signed", "points"].includes(spec.kind),
  };
  if (spec.kind === "word") return { ...base, show: (row) => <Status status={text(table, spec.key, row)} /> };
  if (!spec.interval) return base;
  const scale = scaleOf(spec, table);
  const [from, to] = [scale.from, scale.to].map((end) =>
    spec.kind === "points" ? points(end, Math.max(0, endDigits(scale.to) - 2)) : integer(end),
  );
  return {
    ...base,
    hint: `${spec.hint}. Bars range from ${from} to ${to}; an arrow points beyond`,
    show: (row) => (
      <span className="interval-cell" title={cellText(spec, table, row)}>
        <span>{written(spec.kind, number(table, spec.key, row))}</span>
        <IntervalBar
          scale={scale}
          at={number(table, spec.key, row)}
          low={number(table, `${spec.key}_low`, row)}
          high={number(table, `${spec.key}_high`, row)}
          status={text(table, "performance_status", row)}
        />
      </span>
    ),
  };
}

function cellText(spec: Quantity, table: Table, row: number): string {
  if (spec.kind === "text" || spec.kind === "word") return visible(text(table, spec.key, row) ?? NOT_DEFINED);
  const value = written(spec.kind, number(table, spec.key, row));
  const low = spec.interval ? number(table, `${spec.key}_low`, row) : null;
  return low === null
    ? value
    : `${value} [${written(spec.kind, low)}, ${written(spec.kind, number(table, `${spec.key}_high`, row))}]`;
}
