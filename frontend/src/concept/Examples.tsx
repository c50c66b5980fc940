import { go } from "../app/route";
import { useRun } from "../app/state";
import { characters, pieces, windowAround } from "../data/characters";
import { useItem } from "../data/hooks";
import type { ConceptDetail, ItemDetail, ItemUse } from "../data/types";
import { decimal } from "../format";
import { shorten, visible } from "../text";
import { Failed, Loading } from "../ui/State";
import { ActiveText } from "../ui/Tokens";
import { examplesNote } from "./sentences";
import { deepest } from "./uses";

/** Characters of a prompt that an example shows around its peak. */
const ROOM = 420;
const RESPONSE = 260;

/** Items behind the concept: those that the model gets wrong beside those that it gets right, then the strongest. */
export function Examples({ detail }: { detail: ConceptDetail }) {
  const run = useRun();
  const { best, worst, strongest } = detail.items;
  if (strongest.length === 0) return null;
  const kept = strongest.some((one) => one.tokens !== null);
  const most = deepest(detail);
  // Where all others score nothing, they are among the lowest already.
  const above = best.filter((one) => one.score !== null && one.score > 0);
  return (
    <section>
      <h3>Items behind it</h3>
      <p className="soft">{examplesNote(run, kept)}</p>
      {best.length + worst.length > 0 ? (
        <div className="sides" data-testid="concept-examples">
          <Side title="Lowest scores" uses={worst} most={most} />
          <Side
            title="Highest scores"
            uses={above}
            most={most}
            end={above.length < best.length ? lacking(above.length) : null}
          />
        </div>
      ) : (
        <p className="soft">None of its items is scored.</p>
      )}
      <details open={best.length + worst.length === 0}>
        <summary>Where it is strongest</summary>
        <Side title="" uses={strongest} most={most} />
      </details>
    </section>
  );
}

/** Why fewer are listed than could be. */
const lacking = (listed: number) =>
  listed === 0 ? "None of its items scores above 0." : "No other of its items scores above 0.";

function Side({
  title,
  uses,
  most,
  end = null,
}: {
  title: string;
  uses: ItemUse[];
  most: number;
  end?: string | null;
}) {
  return (
    <div>
      {title && <h4>{title}</h4>}
      {uses.map((use) => (
        <Example key={use.item} use={use} most={most} />
      ))}
      {(end !== null || uses.length === 0) && <p className="soft">{end ?? "None."}</p>}
    </div>
  );
}

function Example({ use, most }: { use: ItemUse; most: number }) {
  const run = useRun();
  const item = useItem(run, use.item);
  return (
    <div className="example" data-testid="example">
      <p className="example-head">
        <strong className={use.score === null ? "soft" : use.score < 0.5 ? "weak-text" : "strong-text"}>
          {use.score === null ? "unscored" : decimal(use.score)}
        </strong>
        {item.data && <bdi className="soft">{visible(run.benchmarks[item.data.benchmark]!.name)}</bdi>}
        <span className="soft">saliency {decimal(use.saliency)}</span>
        <button type="button" className="link" onClick={() => go({ params: { item: use.item } })}>
          Open item
        </button>
      </p>
      {item.error && <Failed error={item.error} />}
      {!item.data && !item.error && <Loading what="the item" />}
      {item.data && <Texts item={item.data} use={use} most={most} />}
    </div>
  );
}

function Texts({ item, use, most }: { item: ItemDetail; use: ItemUse; most: number }) {
  if (item.text === null) return null;
  const text = characters(item.text);
  const [from, to] = windowAround(text.length, use.peak?.[0] ?? item.own?.[0] ?? null, ROOM);
  return (
    <>
      <div className="quote prompt" dir="auto">
        {from > 0 && "… "}
        <ActiveText pieces={pieces(text, from, to, use.tokens ?? [], use.peak)} most={most} />
        {to < text.length && " …"}
      </div>
      <dl className="answers">
        <div>
          <dt>Response</dt>
          <dd>
            <Said text={item.response} />
          </dd>
        </div>
        <div>
          <dt>Expected</dt>
          <dd>
            <Said text={item.answer} />
          </dd>
        </div>
      </dl>
    </>
  );
}

function Said({ text }: { text: string | null }) {
  return text === null ? (
    <span className="soft">none</span>
  ) : (
    <bdi className="quote">{shorten(visible(text), RESPONSE)}</bdi>
  );
}
