import { ShownAnswer } from "../answer/AnswerView";
import type { CategoryChange, Pairing } from "../data/types";
import { decimal, integer, NOT_DEFINED } from "../format";
import { visible } from "../text";
import { Rows } from "../ui/Rows";

interface PairedProps {
  pair: Pairing;
  /** Index of the candidate in the run's models, and name of the baseline; null: they belong to two runs. */
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

const TONES = { lost: "weak-text", gained: "strong-text", "no clear change": undefined };

/** The change on each category of each column, benchmarks included. */
export function Categories({ categories }: { categories: CategoryChange[] }) {
  const score = (mean: number | null) => (mean === null ? NOT_DEFINED : decimal(100 * mean, 1));
  return (
    <>
      <p className="soft">Mean scores by category, and the change expected on new items, in points:</p>
      <Rows
        label="Table of categories"
        testId="compare-categories"
        first={12}
        rows={categories}
        columns={[
          { name: "category", cell: ({ name }) => <bdi>{visible(name)}</bdi> },
          {
            name: "verdict",
            words: true,
            cell: ({ verdict, reason }) =>
              verdict ? <span className={TONES[verdict]}>{verdict}</span> : <span className="soft">{reason}</span>,
          },
          { name: "before", cell: ({ before }) => score(before) },
          { name: "after", cell: ({ after }) => score(after) },
          {
            name: "change",
            hint: "Expected on new items, with its 95% interval",
            cell: ({ points, spread }) =>
              points && (
                <>
                  {points} <span className="soft">({spread})</span>
                </>
              ),
          },
          { name: "items", cell: ({ items }) => integer(items) },
        ]}
      />
    </>
  );
}
