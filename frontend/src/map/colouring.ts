/** Colours of concepts, and the legends that say what they mean. */
import { type Column, columnNamed, type Table } from "../data/table";
import { decimal, integer, magnitude, signed } from "../format";
import { diverging, KINDS, sequential } from "../ui/colours";

export const COLOURINGS = ["gap", "status", "coverage", "lift", "theme"] as const;
export type Colouring = (typeof COLOURINGS)[number];

export type Rgb = readonly [number, number, number];

export interface Colours {
  /** Colour of a row of the table. */
  of: (row: number) => Rgb;
  /** Rows of a higher layer are drawn over others. */
  layer: (row: number) => number;
  /** Rows whose value has too little behind it are drawn faintly. */
  pale: (row: number) => boolean;
  legend: Legend;
}

export type Legend =
  | {
      kind: "ramp";
      title: string;
      /** CSS colours from one end to the other. */
      stops: string[];
      /** Values along it, `at` in [0, 1]. */
      ticks: { at: number; text: string }[];
      /** What has a colour beside the ramp. */
      others: { name: string; colour: string; count: number }[];
      note: string | null;
    }
  | { kind: "classes"; title: string; entries: { name: string; colour: string; count: number }[]; note: string | null };

interface Palette {
  weak: Rgb;
  strong: Rgb;
  typical: Rgb;
  faint: Rgb;
}

const PALETTES: Record<"light" | "dark", Palette> = {
  light: { weak: [179, 74, 0], strong: [43, 98, 184], typical: [139, 147, 157], faint: [205, 209, 214] },
  dark: { weak: [255, 157, 82], strong: [134, 179, 238], typical: [123, 133, 144], faint: [62, 70, 80] },
};

export const palette = (dark: boolean): Palette => PALETTES[dark ? "dark" : "light"];
export const css = (colour: Rgb) => `rgb(${colour.join(" ")})`;

/** `rgb(1, 2, 3)` or `#010203` as numbers. */
export function rgb(colour: string): Rgb {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour);
  if (hex) return [parseInt(hex[1]!, 16), parseInt(hex[2]!, 16), parseInt(hex[3]!, 16)];
  const parts = colour.match(/[\d.]+/g)?.map(Number) ?? [];
  return [parts[0] ?? 0, parts[1] ?? 0, parts[2] ?? 0];
}

const STEPS = 256;

/** A scale as a list of colours: asking the scale for each of 131,072 points would take too long. */
function listed(scale: (at: number) => string): (at: number) => Rgb {
  const list = Array.from({ length: STEPS }, (_, i) => rgb(scale(i / (STEPS - 1))));
  return (at) => list[Math.max(0, Math.min(STEPS - 1, Math.round(at * (STEPS - 1))))]!;
}

const stops = (scale: (at: number) => string) => Array.from({ length: 9 }, (_, i) => scale(i / 8));

const column = (table: Table, key: string) => columnNamed(table, key) as Extract<Column, { kind: "number" }>;
const word = (table: Table, key: string) => (columnNamed(table, key) as Extract<Column, { kind: "text" }>).values;

/** Value below which a share of the numbers lies. Infinite ones and NaN do not count; NaN: there are none. */
export function quantile(values: Float64Array, share: number): number {
  const finite = values.filter(Number.isFinite).sort();
  return finite.length ? finite[Math.min(finite.length - 1, Math.floor(share * finite.length))]! : NaN;
}

function rounded(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return (Math.ceil((value / power) * 2) / 2) * power;
}

/** Layer of a verdict: weak and strong ones are what one looks for. */
const LAYERS = new Map([
  ["weak", 3],
  ["strong", 2],
  ["negligible", 1],
  ["typical", 1],
]);
/** What stands up to the test; any other gap may be an accident, or too small to matter. */
const VERDICTS = ["weak", "strong"];

export interface Subject {
  table: Table;
  /** Rows that scales are made for: filters do not change them. */
  all: Uint32Array;
  /** Rows that the legend counts. */
  rows: Uint32Array;
  dark: boolean;
  themeName: (theme: number) => string;
}

/** Colours of the concepts of a table. */
export function colours(by: Colouring, subject: Subject): Colours {
  if (by === "status") return byStatus(subject);
  if (by === "theme") return byTheme(subject);
  if (by === "coverage") return byCoverage(subject);
  return byDifference(subject, by);
}

/** What lies beyond the ends of a scale has their colours. */
function open(ticks: { at: number; text: string }[]): { at: number; text: string }[] {
  return ticks.map(({ at, text }, i) => ({
    at,
    text: i === 0 ? `${text} or less` : i === ticks.length - 1 ? `${text} or more` : text,
  }));
}

const DIFFERENCES = {
  gap: { title: "Gap", text: (value: number) => signed(value) },
  lift: { title: "Lift (log2)", text: (value: number) => signed(value, 1) },
};

function byDifference({ table, all, rows, dark }: Subject, key: "gap" | "lift"): Colours {
  const { title, text } = DIFFERENCES[key];
  const { values } = column(table, key);
  const { faint } = palette(dark);
  const status = word(table, key === "gap" ? "performance_status" : "coverage_status");
  const limit = quantile(
    Float64Array.from(all, (row) => Math.abs(values[row]!)),
    0.98,
  );
  const end = limit > 0 ? rounded(limit) : 1;
  const scale = diverging(dark);
  const list = listed(scale);
  const pale = (row: number) => key === "gap" && !VERDICTS.includes(status[row] ?? "") && !Number.isNaN(values[row]!);
  const paleCount = count(rows, pale);
  const undefinedCount = count(rows, (row) => Number.isNaN(values[row]!));
  const layer =
    key === "gap"
      ? (row: number) => (Number.isNaN(values[row]!) ? 0 : (LAYERS.get(status[row] ?? "") ?? 0))
      : (row: number) => (Number.isNaN(values[row]!) ? 0 : status[row] === "under" || status[row] === "over" ? 2 : 1);
  return {
    of: (row) => (Number.isNaN(values[row]!) ? faint : list((values[row]! / end + 1) / 2)),
    layer,
    pale,
    legend: {
      kind: "ramp",
      title,
      stops: stops(scale),
      note: paleCount
        ? `Faint: ${integer(paleCount)} without a verdict, whose gap may be an accident or too small to matter.`
        : null,
      ticks: open(
        [-end, 0, end].map((value) => ({ at: (value / end + 1) / 2, text: value === 0 ? "0" : text(value) })),
      ),
      others: undefinedCount ? [{ name: "N/A", colour: css(faint), count: undefinedCount }] : [],
    },
  };
}

function byCoverage({ table, all, rows, dark }: Subject): Colours {
  const { values } = column(table, "chi_bench");
  const { weak, faint } = palette(dark);
  const positive = Float64Array.from(all, (row) => values[row]!).filter((value) => value > 0);
  const low = Math.log10(quantile(positive, 0.02));
  const high = Math.log10(quantile(positive, 0.98));
  const [start, end] = Number.isNaN(low) ? [0, 1] : high - low < 0.01 ? [low - 0.5, high + 0.5] : [low, high];
  const scale = sequential(dark);
  const list = listed(scale);
  const others = [
    { name: "missing", colour: css(weak), count: count(rows, (row) => values[row] === 0) },
    { name: "N/A", colour: css(faint), count: count(rows, (row) => Number.isNaN(values[row]!)) },
  ];
  const colour = (value: number): Rgb => {
    if (Number.isNaN(value)) return faint;
    return value === 0 ? weak : list((Math.log10(value) - start) / (end - start));
  };
  return {
    of: (row) => colour(values[row]!),
    layer: (row) => (values[row] === 0 ? 2 : Number.isNaN(values[row]!) ? 0 : 1),
    pale: () => false,
    legend: {
      kind: "ramp",
      note: null,
      title: "Coverage (χ bench), logarithmic",
      stops: stops(scale),
      ticks: open(
        [0, 0.5, 1].map((at) => ({ at, text: magnitude(Number((10 ** (start + at * (end - start))).toPrecision(2))) })),
      ),
      others: others.filter((other) => other.count > 0),
    },
  };
}

function byStatus({ table, rows, dark }: Subject): Colours {
  const values = word(table, "performance_status");
  const { weak, strong, typical, faint } = palette(dark);
  const known = new Map(Object.entries({ weak, strong, negligible: typical, typical }));
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(values[row] ?? "N/A", (counts.get(values[row] ?? "N/A") ?? 0) + 1);
  const order = ["weak", "strong", "negligible", "typical", "insufficient", "untested", "N/A"];
  const others = [...counts.keys()].filter((name) => !order.includes(name));
  return {
    of: (row) => known.get(values[row] ?? "") ?? faint,
    layer: (row) => LAYERS.get(values[row] ?? "") ?? 0,
    pale: () => false,
    legend: {
      kind: "classes",
      title: "Verdict on performance",
      note: null,
      entries: [...order, ...others]
        .filter((name) => counts.has(name))
        .map((name) => ({ name, colour: css(known.get(name) ?? faint), count: counts.get(name)! })),
    },
  };
}

/** Entries that a legend of themes has room for. */
const NAMED = 12;

function byTheme({ table, rows, dark, themeName }: Subject): Colours {
  const { values } = column(table, "theme");
  const { faint } = palette(dark);
  const kinds = KINDS.map(rgb).map((colour) => (dark ? lighter(colour) : colour));
  const of = (theme: number): Rgb => (Number.isNaN(theme) ? faint : kinds[theme % kinds.length]!);
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(values[row]!, (counts.get(values[row]!) ?? 0) + 1);
  const themes = [...counts.keys()]
    .filter((theme) => !Number.isNaN(theme))
    .sort((a, b) => counts.get(b)! - counts.get(a)! || a - b);
  const entries = themes
    .slice(0, NAMED)
    .map((theme) => ({ name: themeName(theme), colour: css(of(theme)), count: counts.get(theme)! }));
  const notes = [
    themes.length > NAMED ? `${integer(themes.length - NAMED)} more themes` : "",
    themes.length > kinds.length ? `the ${kinds.length} colours repeat` : "",
  ].filter(Boolean);
  return {
    of: (row) => of(values[row]!),
    layer: () => 1,
    pale: () => false,
    legend: { kind: "classes", title: "Theme", entries, note: notes.join("; ") || null },
  };
}

const lighter = (colour: Rgb): Rgb => colour.map((part) => Math.round(part + (255 - part) * 0.22)) as unknown as Rgb;

function count(rows: Uint32Array, test: (row: number) => boolean): number {
  let total = 0;
  for (const row of rows) if (test(row)) total++;
  return total;
}

/** What the legend says, for those who cannot see it. */
export function legendText(legend: Legend): string {
  if (legend.kind === "classes")
    return `${legend.title}: ${legend.entries.map(({ name, count: n }) => `${name} ${integer(n)}`).join(", ")}.`;
  const [first, last] = [legend.ticks[0], legend.ticks.at(-1)].map((tick) => tick?.text ?? decimal(null));
  return `${legend.title}: from ${first} to ${last}.`;
}
