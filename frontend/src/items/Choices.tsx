import type { ItemDetail } from "../data/types";
import { decimal } from "../format";
import { shorten, visible } from "../text";

/** Characters of a choice. */
const ROOM = 240;

/**
 * The options of a question: the right one and the given one are marked, with log-probabilities (nats) where the run
 * has them.
 */
export function Choices({ item: { choices, answer_index, response, logprobs, scorer } }: { item: ItemDetail }) {
  if (!choices) return null;
  const numbered = scorer === "choice" && logprobs.length === choices.length;
  return (
    <ol className="choices" type="A" data-testid="choices">
      {choices.map((choice, i) => (
        <li key={i} className={i === answer_index ? "right" : undefined}>
          <bdi>{shorten(visible(choice), ROOM)}</bdi>
          {i === answer_index && <span className="mark-right"> ✓ right</span>}
          {response !== null && choice === response && (
            <span className={i === answer_index ? "mark-right" : "mark-given"}> ← given</span>
          )}
          {numbered && <span className="soft"> {decimal(logprobs[i])}</span>}
        </li>
      ))}
    </ol>
  );
}
