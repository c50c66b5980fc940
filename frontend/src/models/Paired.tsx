import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Difference, PairedScores } from "../data/types";
import { decimal, integer, probability } from "../format";
import { shorten, visible } from "../text";
import { overallSentence, points, surestFirst, unpairedSentence } from "./paired";

/** What the whole comparison shows, in words. */
export function PairedSentences({ pair, names }: { pair: PairedScores; names: [string, string] }) {
  const unpaired = unpairedSentence(pair, names);
  return (
    <>
      <p data-testid="paired-overall">{overallSentence(pair, ...names)}</p>
      {unpaired && (
        <p className="soft" data-testid="paired-unpaired">
          {unpaired}
        </p>
      )}
    </>
  );
}

/** Headers of {@link DifferenceCells}. */
export function DifferenceHeads({ of }: { of: string }) {
  return (
    <>
      <th scope="col" title="Points of 100, item by item, with the 95% interval">
        {of}
      </th>
      <th scope="col" title="Items, or clusters of items that ask the same, on which it did better, and worse">
        better : worse
      </th>
      <th
        scope="col"
        title="Corrected p-value: of benchmarks by Holm, of themes and concepts by Benjamini and Hochberg"
      >
        q
      </th>
      <th scope="col" title="The smallest difference, in points of 100, that these items would most likely have shown">
        visible
      </th>
    </>
  );
}

/** A difference in points with its interval, McNemar's counts, q, and what could be seen; null: nothing pairs. */
export function DifferenceCells({ row }: { row: Difference | null }) {
  if (row === null)
    return (
      <>
        <td>N/A</td>
        <td>N/A</td>
        <td>N/A</td>
        <td>N/A</td>
      </>
    );
  const tone = row.status === "worse" ? "weak-text" : row.status === "better" ? "better-text" : undefined;
  return (
    <>
      <td>
        <span className={tone}>{points(row.difference)}</span>{" "}
        <span className="soft">
          [{points(row.low)}, {points(row.high)}]
        </span>
      </td>
      <td>
        {integer(row.better)} : {integer(row.worse)}
      </td>
      <td>{probability(row.q_value)}</td>
      <td>{decimal(100 * row.detectable, 1)}</td>
    </>
  );
}

/** By benchmark, Holm's correction. */
export function PairedBenchmarks({ pair }: { pair: PairedScores }) {
  return (
    <div className="compare-table" role="region" tabIndex={0} aria-label="Differences by benchmark">
      <table data-testid="paired-benchmarks">
        <thead>
          <tr>
            <th scope="col">benchmark</th>
            <DifferenceHeads of="difference" />
          </tr>
        </thead>
        <tbody>
          {pair.benchmarks.map((row) => (
            <tr key={row.benchmark}>
              <th scope="row">
                <bdi>{shorten(visible(row.benchmark), 60)}</bdi>
              </th>
              <DifferenceCells row={row} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const SHOWN = 12;

/** By theme; a difference says little where it is the same on all items, so what is more or less there comes first. */
export function PairedThemes({ pair }: { pair: PairedScores }) {
  const [all, setAll] = useState(false);
  const rows = useMemo(() => surestFirst(pair.themes), [pair]);
  if (rows.length === 0) return <p className="soft">There are no themes that enough items of both are about.</p>;
  return (
    <>
      <div className="compare-table" role="region" tabIndex={0} aria-label="Differences by theme">
        <table data-testid="paired-themes">
          <thead>
            <tr>
              <th scope="col">theme</th>
              <DifferenceHeads of="difference" />
              <th scope="col" title="By how many points the difference is larger than on other items of equal length">
                more than elsewhere
              </th>
              <th scope="col" title="Corrected p-value of that, over all themes">
                its q
              </th>
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, SHOWN)).map((row) => (
              <tr key={row.theme}>
                <th scope="row">
                  <bdi>{row.name ? shorten(visible(row.name), 70) : `theme ${row.theme}`}</bdi>
                </th>
                <DifferenceCells row={row} />
                <td>
                  {points(row.gap)}{" "}
                  <span className="soft">
                    [{points(row.gap_low)}, {points(row.gap_high)}]
                  </span>
                </td>
                <td>{probability(row.gap_q)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > SHOWN && (
        <Button size="xs" variant="subtle" mt="xs" onClick={() => setAll(!all)}>
          {all ? `Show ${SHOWN}` : `Show all ${rows.length}`}
        </Button>
      )}
    </>
  );
}
