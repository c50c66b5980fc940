import type { Column, Table } from "../data/table";
import type { ColumnSpec } from "../data/types";

/** Ends of a bar's scale, the same in a whole column, and where its neutral line stands. */
export interface Scale {
  from: number;
  to: number;
  neutral: number | null;
}

/** The scale of a column with intervals: a share from 0 to 1; a signed one as far to both sides as most of its intervals go. */
export function reach(spec: Pick<ColumnSpec, "key" | "kind">, table: Table): Scale {
  if (spec.kind !== "signed") return { from: 0, to: 1, neutral: null };
  const most = Math.max(largest(table, spec.key), largest(table, `${spec.key}_low`, 0.9), largest(table, `${spec.key}_high`, 0.9), 0.01);
  return { from: -most, to: most, neutral: 0 };
}

/** Size that a part of the values of ranked concepts does not exceed; 0 without any. */
export function largest(table: Table, key: string, part = 0.98): number {
  const column = table.columns[key];
  const ranked = table.columns.ranked;
  if (column?.kind !== "number" || ranked?.kind !== "flag") return 0;
  let sizes = known.get(column);
  if (!sizes) {
    sizes = Float64Array.from(column.values as Float32Array, Math.abs).filter((size, row) => Number.isFinite(size) && ranked.values[row] === 1).sort();
    known.set(column, sizes);
  }
  return sizes[Math.floor(part * (sizes.length - 1))] ?? 0;
}

const known = new WeakMap<Column, Float64Array>();

interface Bar {
  scale: Scale;
  at: number | null;
  low: number | null;
  high: number | null;
  status: string | null;
}

/** A value with its interval on a scale. It adds nothing to the numbers beside it for a reader who cannot see it. */
export function IntervalBar({ scale, at, low, high, status }: Bar) {
  const place = (value: number) => `${100 * Math.min(1, Math.max(0, (value - scale.from) / (scale.to - scale.from)))}%`;
  const tone = status === "weak" || status === "strong" ? status : "plain";
  return (
    <span className={`interval-bar ${tone}`} aria-hidden="true">
      {scale.neutral !== null && <span className="neutral" style={{ left: place(scale.neutral) }} />}
      {low !== null && high !== null && <span className="range" style={{ left: place(low), right: `calc(100% - ${place(high)})` }} />}
      {at !== null && <span className="point" style={{ left: place(at) }} />}
    </span>
  );
}
