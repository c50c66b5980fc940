/** What stands along the axes of a scatter plot. */
import { scaleLinear, scaleLog } from "d3-scale";

export interface Axis {
  title: string;
  /** The plane has the logarithm, to base 10. */
  log: boolean;
  /** How a value is written; `digits`: as many after the point as tell neighbouring ticks apart. */
  text: (value: number, digits: number) => string;
  /** A value at which a line is drawn: no gap, no lift. */
  neutral?: number;
}

export interface Tick {
  at: number;
  text: string;
}

/** About `wanted` round values between two places on the plane. */
export function ticks(axis: Axis, low: number, high: number, wanted: number): Tick[] {
  if (!axis.log) {
    const values = scaleLinear().domain([low, high]).ticks(wanted);
    const step = Math.abs((values[1] ?? 1) - (values[0] ?? 0)) || 1;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return values.map((value) => ({ at: value, text: axis.text(value, digits) }));
  }
  const values = scaleLog()
    .domain([10 ** low, 10 ** high])
    .ticks(wanted);
  const powers = values.filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  const shown = values.length > 1.6 * wanted && powers.length >= 2 ? thinned(powers, wanted) : thinned(values, wanted);
  return shown.map((value) => ({ at: Math.log10(value), text: axis.text(value, 0) }));
}

function thinned(values: number[], wanted: number): number[] {
  const step = Math.ceil(values.length / Math.max(1, 1.6 * wanted));
  return values.filter((_, i) => i % step === 0);
}
