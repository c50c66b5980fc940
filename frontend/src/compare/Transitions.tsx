import { go, useRoute } from "../app/route";
import { integer } from "../format";
import { visible } from "../text";
import { Square } from "../ui/Square";
import { NO_VERDICT } from "./joined";

/** Verdicts of run A against those of run B. A number chooses its concepts in the table below. */
export function Transitions({ counts, words }: { counts: Map<string, Map<string, number>>; words: readonly string[] }) {
  const { params } = useRoute();
  const statuses = new Set([...counts.keys(), ...[...counts.values()].flatMap((line) => [...line.keys()])]);
  const shown = [
    ...words,
    ...[...statuses].filter((word) => !words.includes(word) && word !== NO_VERDICT),
    NO_VERDICT,
  ].filter((word) => statuses.has(word));
  const cell = (i: number, j: number) => {
    const [from, to] = [shown[i]!, shown[j]!];
    const count = counts.get(from)?.get(to) ?? 0;
    if (count === 0) return <span className="soft">0</span>;
    const chosen = params.get("from") === from && params.get("to") === to;
    return (
      <button
        type="button"
        className="link"
        aria-pressed={chosen}
        aria-label={`${integer(count)} concepts: ${visible(from)} in A, ${visible(to)} in B`}
        onClick={() => go({ params: chosen ? { from: null, to: null } : { from, to } })}
      >
        {integer(count)}
      </button>
    );
  };
  return (
    <div>
      <p className="soft transitions-say">Concepts by verdict. Choose a number to see its concepts in the table.</p>
      <div className="transitions" role="region" tabIndex={0} aria-label="Verdicts of both runs">
        <Square data-testid="compare-transitions" names={shown.map(visible)} corner="A, then B" cell={cell} />
      </div>
    </div>
  );
}
