import { address, useRoute } from "../app/route";
import { useFace } from "../app/state";
import type { Theme } from "../data/types";
import { integer, magnitude, percent, plural, signed } from "../format";
import { shorten, visible } from "../text";

const SHOWN = 8;

/** The themes that matter most to the question: lowest gaps, or largest missing shares. */
export function ThemeList({ themes }: { themes: Theme[] }) {
  const face = useFace();
  const route = useRoute();
  const top = themes.filter((one) => one.level === "theme" && one.ranked > 0);
  const missing = (one: Theme) => one.missing_concepts / one.ranked;
  const tested = top.filter((one) => one.q_value !== null);
  const chosen = face === "model"
    ? tested.sort((a, b) => (a.gap ?? 0) - (b.gap ?? 0)).slice(0, SHOWN)
    : top.sort((a, b) => missing(b) - missing(a) || (a.chi_bench_mean ?? 0) - (b.chi_bench_mean ?? 0)).slice(0, SHOWN);
  if (chosen.length === 0) return null;
  const reach = Math.max(...chosen.map((one) => (face === "model" ? Math.abs(one.gap ?? 0) : missing(one))), 1e-9);
  return (
    <section>
      <h2>{face === "model" ? "Themes with the lowest gaps" : "Themes that the benchmarks touch least"}</h2>
      <p className="soft">
        {face === "model"
          ? `${integer(chosen.length)} of ${integer(tested.length)} tested themes. Gap: score of a theme's items less their benchmarks' mean.`
          : `${integer(chosen.length)} of ${integer(top.length)} themes. Share of a theme’s ranked concepts (alive, without a flag) that no item of the suite activates.`}
      </p>
      <ol className="theme-bars">
        {chosen.map((one) => {
          const size = face === "model" ? Math.abs(one.gap ?? 0) : missing(one);
          return (
            <li key={one.id}>
              <a href={address(route, { view: "concepts", params: { theme: one.id } })}>
                <bdi>{one.name ? shorten(visible(one.name), 80) : `theme ${one.id}`}</bdi>
              </a>
              <span className="bar-place" aria-hidden="true">
                <span className={`bar ${face !== "model" ? "amount" : (one.gap ?? 0) < 0 ? "below" : "above"}`} style={{ width: `${(100 * size) / reach}%` }} />
              </span>
              <span className={one.performance_status === "weak" && face === "model" ? "weak-text" : undefined}>
                {face === "model" ? signed(one.gap, 3) : percent(missing(one))}
              </span>
              <span className="soft">
                {face === "model"
                  ? `${integer(one.weak_concepts)} of ${plural(one.ranked, "ranked concept")} weak`
                  : `${integer(one.missing_concepts)} of ${plural(one.ranked, "ranked concept")} missing, mean coverage ${magnitude(one.chi_bench_mean)}`}
              </span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
