import type { Table } from "../data/table";
import type { ColumnSpec } from "../data/types";
import { heatOf } from "./heat";

/** What the colours of the columns per benchmark mean. */
export function HeatLegend({ spec, table, dark }: { spec: ColumnSpec; table: Table; dark: boolean }) {
  const { stops, low, high } = heatOf(spec.key, dark, table);
  return (
    <span className="heat-legend">
      {spec.title} per benchmark: {low}{" "}
      <span
        className="heat-bar"
        aria-hidden="true"
        style={{ backgroundImage: `linear-gradient(90deg, ${stops.join(", ")})` }}
      />{" "}
      {high}
    </span>
  );
}
