/** Colours of quantities in cells, for reading across benchmarks. */
import type { Table } from "../data/table";
import { points } from "../format";
import { diverging, sequential } from "../ui/colours";
import { largest } from "./IntervalBar";

export interface Heat {
  /** Of a value; null: none, for what is missing is not a little of it. */
  colour: (value: number) => string | null;
  /** Colours of the legend, from its low end to its high end. */
  stops: string[];
  low: string;
  high: string;
}

/** Lift is log2: five doublings are a lot. */
const LIFT = 5;
/** Coverage from a hundredth of the mean to thirty times the mean. */
const [SPARSE, AMPLE] = [-2, 1.5];

export function heatOf(measure: string, dark: boolean, table: Table): Heat {
  const two = diverging(dark);
  const one = sequential(dark);
  if (measure === "association") {
    // Within one benchmark they are wider than in the suite.
    const keys = Object.keys(table.columns).filter((key) => key.split("@")[0] === "association");
    const most = Math.max(0.05, ...keys.map((key) => largest(table, key, 0.95)));
    return heat(two, (value) => (value / most + 1) / 2, `${points(-most, 0)} or less`, `${points(most, 0)} or more`);
  }
  if (measure === "lift") return heat(two, (value) => (value / LIFT + 1) / 2, `−${LIFT} or less`, `+${LIFT} or more`);
  if (measure !== "chi_bench") return heat(one, (value) => value, "0", "1");
  const coverage = heat(one, (value) => (Math.log10(value) - SPARSE) / (AMPLE - SPARSE), "0.01 or less", "30 or more");
  return {
    ...coverage,
    colour: (value) => (value === 0 ? null : coverage.colour(value)),
    low: `0 missing, ${coverage.low}`,
  };
}

function heat(scale: (at: number) => string, place: (value: number) => number, low: string, high: string): Heat {
  return {
    colour: (value) => scale(Math.min(1, Math.max(0, place(value)))),
    stops: [0, 0.25, 0.5, 0.75, 1].map(scale),
    low,
    high,
  };
}

// Only these two stand out enough from every colour between them.
const [DARK_INK, LIGHT_INK] = ["#000000", "#ffffff"];

/** Black or white, whichever stands out more from a colour `rgb(r, g, b)`. */
export function inkOn(background: string): string {
  const [red = 0, green = 0, blue = 0] = (background.match(/[\d.]+/g) ?? []).map(Number).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return luminance > 0.179 ? DARK_INK : LIGHT_INK;
}
