/**
 * Colour scales, the same as the report's, that colour-blind readers can tell apart. Values outside [0, 1] are
 * clamped.
 */

import { interpolateLab } from "d3-interpolate";
import { scaleLinear } from "d3-scale";

const SEQUENTIAL = {
  light: ["#dbe7f7", "#b9d0ee", "#6c9bdc", "#2b62b8", "#0f2f6b"],
  dark: ["#2a3a50", "#234a7d", "#3f78c2", "#86b3ee", "#e2eeff"],
};
const DIVERGING = {
  light: ["#b34a00", "#f0a468", "#d9d6d2", "#7fb0e6", "#17539f"],
  dark: ["#ff9d52", "#a35a22", "#4a515c", "#33659f", "#7fb8ff"],
};

/** Twenty colours for regions; further regions reuse them. */
export const REGION_COLOURS = (
  "#2b62b8 #e07b39 #2a9d8f #a23b72 #8a9a5b #6c5ce7 #c9a227 #1b7fa8 #d1495b #5f7a61 " +
  "#7d5ba6 #3d8b37 #b56576 #00798c #946c2e #4059ad #97a97c #c44900 #558b9a #8d5a97"
).split(" ");

function scale(anchors: string[]): (at: number) => string {
  const steps = anchors.map((_, i) => i / (anchors.length - 1));
  return scaleLinear<string>().domain(steps).range(anchors).interpolate(interpolateLab).clamp(true);
}

/** Light to dark blue (on a dark page dark to light), for amounts. */
export const sequential = (dark: boolean) => scale(SEQUENTIAL[dark ? "dark" : "light"]);
/** Orange through grey to blue: 0 is worst, 0.5 neutral, 1 best. */
export const diverging = (dark: boolean) => scale(DIVERGING[dark ? "dark" : "light"]);

// Only black and white contrast enough with every colour of the scales.
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
