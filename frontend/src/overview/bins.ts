/** Counts of values in bins, for charts that shall not draw each concept. */

export interface Bin {
  low: number;
  high: number;
  count: number;
}

/**
 * Counts values in bins. `edges` are ascending; a value on an inner edge counts in the bin above it. NaN and values
 * outside are not counted.
 */
export function histogram(values: ArrayLike<number>, rows: ArrayLike<number>, edges: number[]): Bin[] {
  const bins = edges.slice(1).map((high, i) => ({ low: edges[i]!, high, count: 0 }));
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]!]!;
    if (!(value >= edges[0]!) || value > edges[edges.length - 1]!) continue;
    bins[Math.min(place(edges, value), bins.length - 1)]!.count++;
  }
  return bins;
}

/** How many edges are at or below the value, less one. */
function place(edges: number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export function linearEdges(low: number, high: number, bins: number): number[] {
  return Array.from({ length: bins + 1 }, (_, i) => low + ((high - low) * i) / bins);
}

/** Edges whose logarithms are evenly spaced over the positive values; empty where there are none. */
export function logEdges(values: ArrayLike<number>, rows: ArrayLike<number>, bins: number): number[] {
  let low = Infinity;
  let high = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = values[rows[i]!]!;
    if (value > 0 && Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (high === 0) return [];
  if (low === high) [low, high] = [low / 1.5, high * 1.5];
  const edges = linearEdges(Math.log(low), Math.log(high), bins).map(Math.exp);
  // Rounding must not leave the extremes outside.
  edges[0] = low;
  edges[bins] = high;
  return edges;
}

export function median(values: number[]): number {
  const order = Float64Array.from(values).sort();
  const half = order.length >> 1;
  return order.length === 0 ? NaN : order.length % 2 ? order[half]! : (order[half - 1]! + order[half]!) / 2;
}
