/** Where a map was moved to, as the address says it: `at=x,y,zoom`. */
import type { Spot } from "./stage";

export function spotOf(param: string | null): Spot | null {
  const [x, y, k, more] = (param ?? "").split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (more !== undefined || ![x, y, k].every(Number.isFinite)) return null;
  return k! > 0 ? { x: x!, y: y!, k: k! } : null;
}

export const spotParam = (spot: Spot | null) =>
  spot ? [spot.x, spot.y, spot.k].map((part) => Number(part.toPrecision(5))).join(",") : null;
