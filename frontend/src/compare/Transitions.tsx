import { go, useRoute } from "../app/route";
import { integer } from "../format";
import { visible } from "../text";
import { NO_VERDICT } from "./joined";

/** Verdicts of run A against those of run B. A number chooses its concepts in the table below. */
export function Transitions({ counts, words }: { counts: Map<string, Map<string, number>>; words: readonly string[] }) {
  const { params } = useRoute();
  const found = new Set([...counts.keys(), ...[...counts.values()].flatMap((line) => [...line.keys()])]);
  const shown = [...words, ...[...found].filter((word) => !words.includes(word) && word !== NO_VERDICT), NO_VERDICT].filter((word) => found.has(word));
  return (
    <div>
      <p className="soft transitions-say">Concepts by verdict. Choose a number to see its concepts in the table.</p>
      <div className="transitions" role="region" tabIndex={0} aria-label="Verdicts of both runs">
        <table data-testid="compare-transitions">
          <thead>
            <tr>
              <th scope="col">A, then B</th>
              {shown.map((word) => <th key={word} scope="col">{visible(word)}</th>)}
            </tr>
          </thead>
          <tbody>
            {shown.map((from) => (
              <tr key={from}>
                <th scope="row">{visible(from)}</th>
                {shown.map((to) => {
                  const count = counts.get(from)?.get(to) ?? 0;
                  const chosen = params.get("from") === from && params.get("to") === to;
                  return (
                    <td key={to} className={from === to ? "same" : undefined}>
                      {count === 0 ? <span className="soft">0</span> : (
                        <button type="button" className="link" aria-pressed={chosen} aria-label={`${integer(count)} concepts: ${visible(from)} in A, ${visible(to)} in B`}
                          onClick={() => go({ params: chosen ? { from: null, to: null } : { from, to } })}>
                          {integer(count)}
                        </button>
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
