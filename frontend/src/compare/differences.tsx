import type { BenchmarkDifference as Difference } from "../data/types";
import { decimal, integer, NOT_DEFINED, points, probability } from "../format";
import type { RowsColumn } from "../ui/Rows";

const TONES = { worse: "weak-text", better: "better-text", same: undefined };

/** A difference in points with its interval, McNemar's counts, q, and what could be seen; null: nothing pairs. */
export function differenceColumns<Row>(of: (row: Row) => Difference | null): RowsColumn<Row>[] {
  const cell = (show: (row: Difference) => React.ReactNode) => (row: Row) => {
    const difference = of(row);
    return difference ? show(difference) : NOT_DEFINED;
  };
  return [
    {
      name: "difference",
      hint: "In points, item by item, with its 95% interval",
      cell: cell(({ status, difference, low, high }) => (
        <span className={TONES[status]}>
          {points(difference)}{" "}
          <span className="soft">
            [{points(low)}, {points(high)}]
          </span>
        </span>
      )),
    },
    {
      name: "better : worse",
      hint: "Items (repeats count once) on which it did better and worse",
      cell: cell((row) => `${integer(row.better)} : ${integer(row.worse)}`),
    },
    { name: "q", hint: "p-value corrected by Holm’s method", cell: cell((row) => probability(row.q_value)) },
    {
      name: "detectable",
      hint: "Smallest difference, in points, that these items would most likely have shown",
      cell: cell((row) => decimal(100 * row.detectable, 1)),
    },
  ];
}
