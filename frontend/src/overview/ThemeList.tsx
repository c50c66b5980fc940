import type { ReactNode } from "react";
import { address, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { IntervalBar } from "../concepts/IntervalBar";
import { themeName } from "../concepts/themes";
import type { Theme } from "../data/types";
import { integer, magnitude, percent, plural, signed } from "../format";
import { shorten, visible } from "../text";

const SHOWN = 8;
const missingShare = (theme: Theme) => theme.missing_concepts / theme.ranked;
const isWeak = (theme: Theme) => theme.performance_status === "weak";

/** The most important themes over the whole suite: weak ones and the lowest gaps, or the largest missing shares. */
export function ThemeList({ themes: all }: { themes: Theme[] }) {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  const top = all.filter((theme) => theme.level === "theme" && theme.ranked > 0);
  const of = face === "model" ? top.filter((theme) => theme.q_value !== null) : top;
  const themes = [...of]
    .sort((a, b) =>
      face === "model"
        ? Number(isWeak(b)) - Number(isWeak(a)) || (a.gap ?? 0) - (b.gap ?? 0)
        : missingShare(b) - missingShare(a) || (a.chi_bench_mean ?? 0) - (b.chi_bench_mean ?? 0),
    )
    .slice(0, SHOWN);
  if (themes.length === 0) return null;
  const alike = run.evidence.alike && ` (${run.evidence.alike})`;
  return (
    <section>
      <h2>{face === "model" ? "Themes, weak ones first" : "Themes that the benchmarks touch least"}</h2>
      <p className="soft" data-testid="theme-choice">
        {integer(themes.length)} of {plural(of.length, face === "model" ? "tested theme" : "theme")}.{" "}
        {face === "model"
          ? `${integer(of.filter(isWeak).length)} are weak. Gaps to comparable items${alike}, with intervals.`
          : "Share of a theme’s ranked concepts (alive, without a flag) that no item of the suite activates."}
        {benchmark !== null && ` Over all ${plural(run.benchmarks.length, "benchmark")}.`}
      </p>
      <ol className="theme-bars" data-testid="theme-bars">
        {face === "model" ? <Gaps themes={themes} /> : <Shares themes={themes} />}
      </ol>
    </section>
  );
}

function Gaps({ themes }: { themes: Theme[] }) {
  const ends = themes.flatMap((theme) => [theme.gap, theme.gap_low, theme.gap_high]);
  const most = Math.max(0.01, ...ends.map((end) => Math.abs(end ?? 0)));
  return themes.map((theme) => (
    <Line key={theme.id} theme={theme}>
      <IntervalBar
        scale={{ from: -most, to: most, neutral: 0 }}
        at={theme.gap}
        low={theme.gap_low}
        high={theme.gap_high}
        status={theme.performance_status}
      />
      <span className={isWeak(theme) ? "weak-text" : undefined}>
        {signed(theme.gap, 3)}{" "}
        <span className="unseen">
          [{signed(theme.gap_low, 3)}, {signed(theme.gap_high, 3)}]
        </span>
      </span>
      <span className="soft">
        {integer(theme.weak_concepts)} of {plural(theme.ranked, "ranked concept")} weak
      </span>
    </Line>
  ));
}

function Shares({ themes }: { themes: Theme[] }) {
  const most = Math.max(...themes.map(missingShare), 1e-9);
  return themes.map((theme) => (
    <Line key={theme.id} theme={theme}>
      <span className="share-bar" aria-hidden="true">
        <span style={{ width: `${(100 * missingShare(theme)) / most}%` }} />
      </span>
      <span>{percent(missingShare(theme))}</span>
      <span className="soft">
        {integer(theme.missing_concepts)} of {plural(theme.ranked, "ranked concept")} missing, mean coverage{" "}
        {magnitude(theme.chi_bench_mean)}
      </span>
    </Line>
  ));
}

/** The name leads to the theme's concepts over the whole suite, as the figures beside it are. */
function Line({ theme, children }: { theme: Theme; children: ReactNode }) {
  const route = useRoute();
  return (
    <li data-status={theme.performance_status}>
      <a href={address(route, { view: "concepts", params: { theme: theme.id, benchmark: null } })}>
        <bdi>{shorten(visible(themeName(theme)), 80)}</bdi>
      </a>
      {children}
    </li>
  );
}
