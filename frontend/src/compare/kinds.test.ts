import { expect, it } from "vitest";
import { palette, type Rgb } from "../map/colouring";
import { kindsOf } from "./kinds";

/** Colours as seen with a full colour blindness (Machado et al. 2009, linear RGB). */
const SEEN: Record<string, number[]> = {
  usual: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};
const linear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
function lab(colour: Rgb, seen: number[]): number[] {
  const own = colour.map((part) => linear(part / 255));
  const [r, g, b] = [0, 1, 2].map((i) =>
    Math.min(
      1,
      Math.max(
        0,
        own.reduce((sum, part, j) => sum + seen[3 * i + j]! * part, 0),
      ),
    ),
  ) as [number, number, number];
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : ((24389 / 27) * t + 16) / 116);
  const [x, y, z] = [
    f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505),
    f(0.2126 * r + 0.7152 * g + 0.0722 * b),
    f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089),
  ];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

it.each(Object.keys(SEEN))("kinds of concepts and the colour of strong ones can be told apart: %s", (sight) => {
  for (const dark of [false, true]) {
    const colours = [...kindsOf("weak", dark).map((text) => text.colour), palette(dark).strong];
    colours.forEach((colour, i) => {
      colours.slice(i + 1).forEach((other, j) => {
        // Strong and typical are the page's own.
        if (i === 0 && j === 3) return;
        const [p, q] = [lab(colour, SEEN[sight]!), lab(other, SEEN[sight]!)];
        expect(
          Math.hypot(...p.map((part, k) => part - q[k]!)),
          `${dark ? "dark" : "light"}: ${colour} and ${other}`,
        ).toBeGreaterThan(18);
      });
    });
  }
});
