import { type Column, columnNamed, type Table } from "../data/table";
import type { Quantity } from "../data/types";
import { drawn, roundedUp, type Scale } from "./bar";

/** The scale of a column with intervals: from 0 to 1 for a share; else symmetric, as wide as most of the intervals. */
export function reach(spec: Pick<Quantity, "key" | "kind">, table: Table): Scale {
  if (spec.kind !== "points") return { from: 0, to: 1, neutral: null };
  const most = Math.max(
    largest(table, spec.key),
    largest(table, `${spec.key}_low`, 0.9),
    largest(table, `${spec.key}_high`, 0.9),
    0.01,
  );
  const end = roundedUp(most);
  return { from: -end, to: end, neutral: 0 };
}

/** Size that a part of the values of ranked concepts does not exceed; 0 without any. */
export function largest(table: Table, key: string, part = 0.98): number {
  const column = columnNamed(table, key);
  const ranked = table.columns.ranked;
  if (column?.kind !== "number" || ranked?.kind !== "flag") return 0;
  let sizes = known.get(column);
  if (!sizes) {
    sizes = Float64Array.from(column.values as Float32Array, Math.abs)
      .filter((size, row) => Number.isFinite(size) && ranked.values[row] === 1)
      .sort();
    known.set(column, sizes);
  }
  return sizes[Math.floor(part * (sizes.length - 1))] ?? 0;
}

const known = new WeakMap<Column, Float64Array>();

const TONES: Record<string, string> = { weak: "weak", failure: "weak", strong: "strong", success: "strong" };

interface Bar {
  scale: Scale;
  at: number | null;
  low: number | null;
  high: number | null;
  status: string | null;
}

/**
 * A value and its interval on a scale, with arrows where it extends beyond. Screen readers skip it: the numbers stand
 * beside it.
 */
export function IntervalBar({ scale, at, low, high, status }: Bar) {
  const { point, range, before, beyond } = drawn(scale, at, low, high);
  const place = (share: number) => `${100 * share}%`;
  const tone = TONES[status ?? ""] ?? "plain";
  return (
    <span className={`interval-bar ${tone}`} aria-hidden="true">
      {scale.neutral !== null && (
        <span className="neutral" style={{ left: place(drawn(scale, scale.neutral, null, null).point ?? 0) }} />
      )}
      {range !== null && (
        <span className="range" style={{ left: place(range[0]), right: `calc(100% - ${place(range[1])})` }} />
      )}
      {point !== null && <span className="point" style={{ left: place(point) }} />}
      {before && <span className="cut before" />}
      {beyond && <span className="cut beyond" />}
    </span>
  );
}
