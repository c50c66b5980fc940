import { useRun } from "../app/state";
import { characters, windowAround } from "../data/characters";
import { pageHas } from "../data/hooks";
import type { ConceptDetail, ItemDetail, ItemUse } from "../data/types";
import { decimal } from "../format";
import { deepest } from "../items/activity";
import { Answers, ItemExample } from "../items/parts";
import { ActiveText, Excerpt } from "../ui/Tokens";
import { examplesNote } from "./sentences";

/** Characters of a prompt that an example shows around its peak. */
const ROOM = 420;

/** Items behind the concept: those that the model gets wrong beside those that it gets right, then the strongest. */
export function Examples({ detail }: { detail: ConceptDetail }) {
  const run = useRun();
  const { best, worst, strongest } = detail;
  if (strongest.length === 0) return null;
  const hasTokens = strongest.some((use) => use.tokens !== null);
  const most = deepest(detail);
  // Where all others score nothing, they are among the lowest already.
  const aboveZero = best.filter((use) => use.score !== null && use.score > 0);
  return (
    <section>
      <h3>Items behind it</h3>
      <p className="soft">{examplesNote(run, hasTokens)}</p>
      {best.length + worst.length > 0 ? (
        <div className="sides" data-testid="concept-examples">
          <Side title="Lowest scores" uses={worst} most={most} />
          <Side
            title="Highest scores"
            uses={aboveZero}
            most={most}
            note={aboveZero.length < best.length ? whyFewer(aboveZero.length) : null}
          />
        </div>
      ) : (
        <p className="soft">None of its items has a score.</p>
      )}
      <details open={best.length + worst.length === 0}>
        <summary>Where it is strongest</summary>
        <Side title="" uses={strongest} most={most} />
      </details>
    </section>
  );
}

/** Why fewer are listed than could be. */
const whyFewer = (listed: number) =>
  listed === 0 ? "None of its items scores above 0." : "None of its other items scores above 0.";

function Side({
  title,
  uses,
  most,
  note = null,
}: {
  title: string;
  uses: ItemUse[];
  most: number;
  note?: string | null;
}) {
  const run = useRun();
  return (
    <div>
      {title && <h4>{title}</h4>}
      {uses
        .filter(({ item }) => pageHas(run, "item", item))
        .map((use) => (
          <Example key={use.item} use={use} most={most} />
        ))}
      {(note !== null || uses.length === 0) && <p className="soft">{note ?? "None."}</p>}
    </div>
  );
}

function Example({ use, most }: { use: ItemUse; most: number }) {
  return (
    <ItemExample
      row={use.item}
      testId="example"
      lead={
        <strong className={use.score === null ? "soft" : use.score < 0.5 ? "weak-text" : "strong-text"}>
          {use.score === null ? "unscored" : decimal(use.score)}
        </strong>
      }
      facts={() => <span className="soft">saliency {decimal(use.saliency)}</span>}
      texts={(item) => <Texts item={item} use={use} most={most} />}
    />
  );
}

function Texts({ item, use, most }: { item: ItemDetail; use: ItemUse; most: number }) {
  if (item.text === null) return null;
  const text = characters(item.text);
  const range = windowAround(text.length, use.peak?.[0] ?? item.body?.[0] ?? null, ROOM);
  return (
    <>
      <Excerpt text={text} range={range} activity={{ peak: use.peak, tokens: use.tokens ?? [], most }} />
      <Answers item={item} />
    </>
  );
}

/** Windows of the dictionary's texts in which the concept is strongest. */
export function Exemplars({ detail }: { detail: ConceptDetail }) {
  if (!detail.exemplars?.length) return null;
  const most = Math.max(...detail.exemplars.flatMap((exemplar) => exemplar.activations));
  return (
    <details className="exemplars">
      <summary>Texts that activate it most (from its dictionary)</summary>
      {detail.exemplars.map((exemplar, i) => {
        const peak = exemplar.activations.indexOf(Math.max(...exemplar.activations));
        const shown = exemplar.tokens.map((text, index) => {
          const activation = exemplar.activations[index]!;
          return { text, activation: activation > 0 ? activation : null, peak: index === peak && activation > 0 };
        });
        return (
          <p key={i} className="quote prompt" dir="auto">
            … <ActiveText pieces={shown} most={most} /> …
          </p>
        );
      })}
    </details>
  );
}
