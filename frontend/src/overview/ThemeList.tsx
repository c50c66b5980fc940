import { address, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import type { Scale } from "../concepts/bar";
import { IntervalBar } from "../concepts/IntervalBar";
import type { Theme } from "../data/types";
import { integer, magnitude, percent, plural, signed } from "../format";
import { shorten, visible } from "../text";
import { chosenThemes, missingShare } from "./chosen";

/** The most important themes over the whole suite: weak ones and the lowest gaps, or the largest missing shares. */
export function ThemeList({ themes: all }: { themes: Theme[] }) {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  const { themes, title, choice } = chosenThemes(all, face);
  if (themes.length === 0) return null;
  const alike = run.evidence.alike && ` (${run.evidence.alike})`;
  const meaning =
    face === "model"
      ? `Gap of a theme’s items to comparable ones${alike}, with its interval.`
      : "Share of a theme’s ranked concepts (alive, without a flag) that no item of the suite activates.";
  const where = benchmark === null ? "" : ` Over all ${plural(run.benchmarks.length, "benchmark")}.`;
  return (
    <section>
      <h2>{title}</h2>
      <p className="soft" data-testid="theme-choice">
        {choice} {meaning}
        {where}
      </p>
      <ol className="theme-bars" data-testid="theme-bars">
        {face === "model" ? <Gaps themes={themes} /> : <Shares themes={themes} />}
      </ol>
    </section>
  );
}

function Gaps({ themes }: { themes: Theme[] }) {
  const most = Math.max(
    0.01,
    ...themes.flatMap((theme) => [theme.gap, theme.gap_low, theme.gap_high].map((end) => Math.abs(end ?? 0))),
  );
  const scale: Scale = { from: -most, to: most, neutral: 0 };
  return themes.map((theme) => {
    const interval = `[${signed(theme.gap_low, 3)}, ${signed(theme.gap_high, 3)}]`;
    return (
      <li key={theme.id} data-status={theme.performance_status}>
        <Name theme={theme} />
        <IntervalBar
          scale={scale}
          at={theme.gap}
          low={theme.gap_low}
          high={theme.gap_high}
          status={theme.performance_status}
        />
        <span
          className={theme.performance_status === "weak" ? "weak-text" : undefined}
          title={`${signed(theme.gap, 3)} ${interval}`}
        >
          {signed(theme.gap, 3)} <span className="unseen">{interval}</span>
        </span>
        <span className="soft">
          {integer(theme.weak_concepts)} of {plural(theme.ranked, "ranked concept")} weak
        </span>
      </li>
    );
  });
}

function Shares({ themes }: { themes: Theme[] }) {
  const most = Math.max(...themes.map(missingShare), 1e-9);
  return themes.map((theme) => (
    <li key={theme.id}>
      <Name theme={theme} />
      <span className="bar-place" aria-hidden="true">
        <span className="bar amount" style={{ width: `${(100 * missingShare(theme)) / most}%` }} />
      </span>
      <span>{percent(missingShare(theme))}</span>
      <span className="soft">
        {integer(theme.missing_concepts)} of {plural(theme.ranked, "ranked concept")} missing, mean coverage{" "}
        {magnitude(theme.chi_bench_mean)}
      </span>
    </li>
  ));
}

/**
 * A link to the theme's concepts over the whole suite, as the figures beside it are, whichever benchmark is selected.
 */
function Name({ theme }: { theme: Theme }) {
  const route = useRoute();
  return (
    <a href={address(route, { view: "concepts", params: { theme: theme.id, benchmark: null } })}>
      <bdi>{theme.name ? shorten(visible(theme.name), 80) : `theme ${theme.id}`}</bdi>
    </a>
  );
}
