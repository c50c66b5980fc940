import { expect, it } from "vitest";
import { diverging, inkOn, sequential } from "./colours";

const linear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
function luminance(colour: string): number {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  const parts = hex ? hex.slice(1).map((text) => parseInt(text, 16)) : (colour.match(/[\d.]+/g) ?? []).map(Number);
  const [red, green, blue] = parts.map((part) => linear(part / 255));
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

it.each([sequential(false), sequential(true), diverging(false), diverging(true)])("ink is readable (%#)", (scale) => {
  for (let at = -0.1; at < 1.1; at += 0.05) {
    const [lighter, darker] = [luminance(scale(at)), luminance(inkOn(scale(at)))].sort((a, b) => b - a);
    expect((lighter! + 0.05) / (darker! + 0.05)).toBeGreaterThanOrEqual(4.5);
  }
});
