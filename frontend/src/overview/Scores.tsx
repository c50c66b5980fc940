import { go } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { integer, meanScore } from "../format";
import { visible } from "../text";

/** Benchmarks by score, the lowest first, with what their scores go with. A name sets the page to its benchmark. */
export function Scores() {
  const run = useRun();
  const benchmark = useBenchmark();
  const name = benchmark === null ? null : run.benchmarks[benchmark]!.name;
  const shown = run.answer.benchmarks.filter((one) => name === null || one.benchmark === name);
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
        {shown.map((one) => (
          <li key={one.benchmark}>
            <button
              type="button"
              className="link"
              onClick={() => go({ params: { benchmark: name === null ? one.benchmark : null } })}
            >
              <bdi>{visible(one.benchmark)}</bdi>
            </button>
            <span className="share-bar" aria-hidden="true">
              <span style={{ width: `${100 * (one.mean_score ?? 0)}%` }} />
            </span>
            <span>{one.mean_score === null ? "no score" : meanScore(one.mean_score)}</span>
            <span className="soft">
              {integer(one.scored)} scored{one.scored < one.kept && ` of ${integer(one.kept)}`}
            </span>
            {one.notes.map((note) => (
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
