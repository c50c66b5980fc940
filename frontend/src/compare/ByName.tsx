import { Button } from "@mantine/core";
import { useMemo, useState } from "react";
import { useThemes } from "../data/hooks";
import type { BenchmarkSummary, RunInfo, Theme } from "../data/types";
import { integer, meanScore, plural, signed } from "../format";
import { shorten, visible } from "../text";
import { Measured, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { themePairs } from "./byTheme";

/** Both runs' benchmarks, those of one name in one line. */
export function ByBenchmark({ first, second }: { first: RunInfo; second: RunInfo }) {
  const names = [...new Set([...first.benchmarks, ...second.benchmarks].map((benchmark) => benchmark.name))];
  const lines = names.map((name) => ({
    name,
    a: first.benchmarks.find((benchmark) => benchmark.name === name) ?? null,
    b: second.benchmarks.find((benchmark) => benchmark.name === name) ?? null,
  }));
  const shared = lines.filter(({ a, b }) => a && b).length;
  const less = (a: number | null | undefined, b: number | null | undefined) => (a != null && b != null ? b - a : null);
  return (
    <section aria-label="Benchmarks of both runs">
      <h2>Benchmarks</h2>
      <p className="soft">
        {shared === 0
          ? "No benchmark has the same name in both runs."
          : `${integer(shared)} of ${plural(names.length, "benchmark")} are in both, by name. Items are not compared.`}
      </p>
      <div className="compare-table" role="region" tabIndex={0} aria-label="Table of benchmarks">
        <table data-testid="compare-benchmarks">
          <thead>
            <tr>
              <th scope="col">benchmark</th>
              <th scope="col">mean score A</th>
              <th scope="col">mean score B</th>
              <th scope="col">B minus A</th>
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
                <td>{points(less(a?.mean_score, b?.mean_score))}</td>
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

/** A difference of two shares, in points of a hundred. */
const points = (value: number | null) => (value === null ? signed(null) : `${signed(100 * value, 1)} points`);

/** Themes of the same name, the largest difference of gaps first. */
export function ByTheme({ first, second }: { first: RunInfo; second: RunInfo }) {
  const a = useThemes(first);
  const b = useThemes(second);
  if (!first.has.themes || !second.has.themes) return null;
  const error = a.error ?? b.error;
  if (error) return <Failed error={error} />;
  if (!a.data || !b.data) return <Loading what="the themes of both runs" />;
  return <Themes first={a.data.themes} second={b.data.themes} />;
}

const SHOWN = 15;

function Themes({ first, second }: { first: Theme[]; second: Theme[] }) {
  const [all, setAll] = useState(false);
  const lines = useMemo(() => themePairs(first, second), [first, second]);
  const shown = all ? lines : lines.slice(0, SHOWN);
  const undefinedLast = lines.at(-1)?.difference === null ? "; those without a gap in one of the runs last" : "";
  return (
    <section aria-label="Themes of both runs">
      <h2>Themes</h2>
      <p className="soft">
        {lines.length === 0
          ? "No theme has the same name in both runs."
          : `${plural(lines.length, "theme")} of the same name, the largest difference of gaps first${undefinedLast}.`}
      </p>
      {lines.length > 0 && (
        <div className="compare-table" role="region" tabIndex={0} aria-label="Table of themes">
          <table data-testid="compare-themes">
            <thead>
              <tr>
                <th scope="col">theme</th>
                <th scope="col">gap A</th>
                <th scope="col">gap B</th>
                <th scope="col">B minus A</th>
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
                  {[a, b].map((theme, side) => (
                    <td key={side}>
                      <Measured kind="signed" digits={3} value={theme.gap} low={theme.gap_low} high={theme.gap_high} />
                    </td>
                  ))}
                  <td>{signed(difference, 3)}</td>
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
