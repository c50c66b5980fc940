import { ShownAnswer } from "../answer/AnswerView";
import type { Pairing } from "../data/types";
import { visible } from "../text";
import { Categories } from "./Categories";

interface PairedProps {
  pair: Pairing;
  /** Place of the candidate among the models of the run, and the baseline's name; null: they are of two runs. */
  model: number | null;
  against: string | null;
}

/** One model, or run, against another: the verdict in sentences, and the list of slices on which they differ. */
export function PairedAnswer({ pair, ...of }: PairedProps) {
  if (pair.why !== null)
    return (
      <p className="compare-caution" data-testid="unpaired">
        {visible(pair.why)}
      </p>
    );
  return (
    <>
      {pair.above.map((sentence, i) => (
        <p key={sentence} data-testid={i === 0 ? "paired-verdict" : undefined}>
          <bdi>{visible(sentence)}</bdi>
        </p>
      ))}
      {pair.categories.length > 0 && <Categories categories={pair.categories} />}
      {pair.answer && <ShownAnswer answer={pair.answer} {...of} />}
      {pair.below.map((sentence) => (
        <p key={sentence} className="soft">
          <bdi>{visible(sentence)}</bdi>
        </p>
      ))}
    </>
  );
}
