import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { useThemes } from "../data/hooks";
import type { BenchmarkSummary, PairedScores, RunInfo, Theme } from "../data/types";
import { integer, meanScore, plural } from "../format";
import { DifferenceCells, DifferenceHeads } from "../models/Paired";
import { shorten, visible } from "../text";
import { Measured, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { themePairs } from "./byTheme";

/** Both runs' benchmarks, those of one name in one line. */
export function ByBenchmark({ first, second, pair }: { first: RunInfo; second: RunInfo; pair: PairedScores | null }) {
  const names = [...new Set([...first.benchmarks, ...second.benchmarks].map((benchmark) => benchmark.name))];
  const lines = names.map((name) => ({
    name,
    a: first.benchmarks.find((benchmark) => benchmark.name === name) ?? null,
    b: second.benchmarks.find((benchmark) => benchmark.name === name) ?? null,
  }));
  const shared = lines.filter(({ a, b }) => a && b).length;
  const differences = new Map(pair?.benchmarks.map((row) => [row.benchmark, row]));
  return (
    <section aria-label="Benchmarks of both runs">
      <h2>Benchmarks</h2>
      <p className="soft">
        {shared === 0
          ? "No benchmark has the same name in both runs."
          : `${integer(shared)} of ${plural(names.length, "benchmark")} are in both, by name.`}{" "}
        {pair !== null && "Differences are B minus A, item by item, in points of 100; q by Holm’s method."}
      </p>
      <div className="compare-table" role="region" tabIndex={0} aria-label="Table of benchmarks">
        <table data-testid="compare-benchmarks">
          <thead>
            <tr>
              <th scope="col">benchmark</th>
              <th scope="col">mean score A</th>
              <th scope="col">mean score B</th>
              {pair !== null && <DifferenceHeads of="B minus A" />}
              <th scope="col">scored A</th>
              <th scope="col">scored B</th>
              <th scope="col">weak A</th>
              <th scope="col">weak B</th>
              <th scope="col">missing A</th>
              <th scope="col">missing B</th>
            </tr>
          </thead>
          <tbody>
            {lines.map(({ name, a, b }) => (
              <tr key={name}>
                <th scope="row">
                  <bdi>{shorten(visible(name), 60)}</bdi>
                </th>
                <td>{meanScore(a?.mean_score)}</td>
                <td>{meanScore(b?.mean_score)}</td>
                {pair !== null && <DifferenceCells row={differences.get(name) ?? null} />}
                <td>{integer(a?.scored)}</td>
                <td>{integer(b?.scored)}</td>
                <td>{integer(scored(a)?.weak)}</td>
                <td>{integer(scored(b)?.weak)}</td>
                <td>{integer(scored(a)?.missing)}</td>
                <td>{integer(scored(b)?.missing)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** A benchmark of which no item is kept says nothing of any concept. */
const scored = (benchmark: BenchmarkSummary | null) => (benchmark && benchmark.kept > 0 ? benchmark : null);

/** Themes of the same name. */
export function ByTheme({ first, second, pair }: { first: RunInfo; second: RunInfo; pair: PairedScores | null }) {
  const a = useThemes(first);
  const b = useThemes(second);
  if (!first.has.themes || !second.has.themes) return null;
  const error = a.error ?? b.error;
  if (error) return <Failed error={error} />;
  if (!a.data || !b.data) return <Loading what="the themes of both runs" />;
  return <Themes first={a.data.themes} second={b.data.themes} pair={pair} />;
}

const SHOWN = 15;

function Themes({ first, second, pair }: { first: Theme[]; second: Theme[]; pair: PairedScores | null }) {
  const [all, setAll] = useState(false);
  const lines = useMemo(() => themePairs(first, second, pair?.themes ?? []), [first, second, pair]);
  const shown = all ? lines : lines.slice(0, SHOWN);
  return (
    <section aria-label="Themes of both runs">
      <h2>Themes</h2>
      <p className="soft">
        {lines.length === 0
          ? "No theme has the same name in both runs."
          : pair === null
            ? `${plural(lines.length, "theme")} of the same name, the lowest gap in A first.` +
              " Each gap is tested in its own run; the difference of two is not."
            : `${plural(lines.length, "theme")} of the same name, those that differ most surely first.` +
              " Differences are B minus A, item by item, in points of 100."}
      </p>
      {lines.length > 0 && (
        <div className="compare-table" role="region" tabIndex={0} aria-label="Table of themes">
          <table data-testid="compare-themes">
            <thead>
              <tr>
                <th scope="col">theme</th>
                {pair !== null && <DifferenceHeads of="B minus A" />}
                <th scope="col">gap A</th>
                <th scope="col">gap B</th>
                <th scope="col">verdict A</th>
                <th scope="col">verdict B</th>
              </tr>
            </thead>
            <tbody>
              {shown.map(({ name, a, b, difference }) => (
                <tr key={name}>
                  <th scope="row">
                    <bdi>{shorten(visible(name), 70)}</bdi>
                  </th>
                  {pair !== null && <DifferenceCells row={difference} />}
                  {[a, b].map((theme, side) => (
                    <td key={side}>
                      <Measured kind="signed" digits={3} value={theme.gap} low={theme.gap_low} high={theme.gap_high} />
                    </td>
                  ))}
                  {[a, b].map((theme, side) => (
                    <td key={side}>
                      <Status status={theme.performance_status} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {lines.length > SHOWN && (
        <Button size="xs" variant="subtle" mt="xs" onClick={() => setAll(!all)}>
          {all ? `Show ${SHOWN}` : `Show all ${lines.length}`}
        </Button>
      )}
    </section>
  );
}
