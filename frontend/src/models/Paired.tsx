import type { Difference, PairedScores, ThemeDifference } from "../data/types";
import { decimal, integer, NOT_DEFINED, probability } from "../format";
import { shorten, visible } from "../text";
import { Rows, type RowsColumn } from "../ui/Rows";
import { overallSentence, points, surestFirst, unpairedSentence } from "./paired";

/** What the whole comparison shows, in words. */
export function PairedSentences({ pair, names }: { pair: PairedScores; names: [string, string] }) {
  const unpaired = unpairedSentence(pair, names);
  return (
    <>
      <p data-testid="paired-overall">{overallSentence(pair, ...names)}</p>
      {unpaired && <p className="soft">{unpaired}</p>}
    </>
  );
}

const pointsIn = (value: number | null, low: number | null, high: number | null) => (
  <>
    {points(value)}{" "}
    <span className="soft">
      [{points(low)}, {points(high)}]
    </span>
  </>
);

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
      hint: "Points of 100, item by item, with the 95% interval",
      cell: cell((row) => <span className={TONES[row.status]}>{pointsIn(row.difference, row.low, row.high)}</span>),
    },
    {
      name: "better : worse",
      hint: "Items, or clusters of items that ask the same, on which it did better, and worse",
      cell: cell((row) => `${integer(row.better)} : ${integer(row.worse)}`),
    },
    {
      name: "q",
      hint: "Corrected p-value: of benchmarks by Holm, of themes and concepts by Benjamini and Hochberg",
      cell: cell((row) => probability(row.q_value)),
    },
    {
      name: "visible",
      hint: "The smallest difference, in points of 100, that these items would most likely have shown",
      cell: cell((row) => decimal(100 * row.detectable, 1)),
    },
  ];
}

/** By benchmark, and by theme: what is more or less than elsewhere comes first. */
export function PairedTables({ pair }: { pair: PairedScores }) {
  const themes = surestFirst(pair.themes);
  return (
    <>
      <h3>By benchmark</h3>
      <Rows
        label="Differences by benchmark"
        testId="paired-benchmarks"
        rows={pair.benchmarks}
        columns={[
          { name: "benchmark", cell: (row) => <bdi>{shorten(visible(row.benchmark), 60)}</bdi> },
          ...differenceColumns<Difference>((row) => row),
        ]}
      />
      <h3>By theme</h3>
      {themes.length === 0 ? (
        <p className="soft">There are no themes that enough items of both are about.</p>
      ) : (
        <Rows
          label="Differences by theme"
          testId="paired-themes"
          first={12}
          rows={themes}
          columns={[
            {
              name: "theme",
              cell: (row) => <bdi>{row.name ? shorten(visible(row.name), 70) : `theme ${row.theme}`}</bdi>,
            },
            ...differenceColumns<ThemeDifference>((row) => row),
            {
              name: "more than elsewhere",
              hint: "By how many points the difference is larger than on other items of equal length",
              cell: (row) => pointsIn(row.gap, row.gap_low, row.gap_high),
            },
            {
              name: "its q",
              hint: "Corrected p-value of that, over all themes",
              cell: (row) => probability(row.gap_q),
            },
          ]}
        />
      )}
    </>
  );
}
