import { go } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { integer, meanScore } from "../format";
import { visible } from "../text";

/** Benchmarks by score, the lowest first, with what their scores go with. A name sets the page to its benchmark. */
export function Scores() {
  const run = useRun();
  const benchmark = useBenchmark();
  const name = benchmark === null ? null : run.benchmarks[benchmark]!.name;
  const shown = run.answer.benchmarks.filter((benchmark) => name === null || benchmark.benchmark === name);
  return (
    <section>
      <h2>
        {name === null ? (
          "Benchmarks by score"
        ) : (
          <>
            Score of <bdi>{visible(name)}</bdi>
          </>
        )}
      </h2>
      <ul className="scores" data-testid="scores">
        {shown.map((benchmark) => (
          <li key={benchmark.benchmark}>
            <button
              type="button"
              className="link"
              onClick={() => go({ params: { benchmark: name === null ? benchmark.benchmark : null } })}
            >
              <bdi>{visible(benchmark.benchmark)}</bdi>
            </button>
            <span className="share-bar" aria-hidden="true">
              <span style={{ width: `${100 * (benchmark.mean_score ?? 0)}%` }} />
            </span>
            <span>{benchmark.mean_score === null ? "no score" : meanScore(benchmark.mean_score)}</span>
            <span className="soft">
              {integer(benchmark.scored)} scored{benchmark.scored < benchmark.kept && ` of ${integer(benchmark.kept)}`}
            </span>
            {benchmark.notes.map((note) => (
              <span key={note.text} className="score-note soft">
                {visible(note.text)}
              </span>
            ))}
          </li>
        ))}
      </ul>
    </section>
  );
}
