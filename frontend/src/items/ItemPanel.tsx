import { useMemo, useState } from "react";
import { address, go, useRoute } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { activeIn, deepest } from "../concept/uses";
import { useConcept, useItem, useTable } from "../data/hooks";
import { type Table, text } from "../data/table";
import type { ItemDetail } from "../data/types";
import { decimal, integer, magnitude, NOT_DEFINED, plural } from "../format";
import { visible } from "../text";
import { CopyLink } from "../ui/CopyLink";
import { Term } from "../ui/Hint";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { Choices } from "./Choices";
import { Json } from "./Json";
import { LongText } from "./LongText";
import { type Activity, NO_ACTIVITY, Prompt } from "./Prompt";
import "./items.css";

/** One item: what was asked, what was answered, and the concepts that are strongest in it. */
export function ItemPanel({ row }: { row: number }) {
  const run = useRun();
  const item = useItem(run, row);
  if (item.error) return <Failed error={item.error} />;
  return item.data ? <Shown item={item.data} /> : <Loading what="the item" />;
}

function Shown({ item }: { item: ItemDetail }) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet");
  const from = useNumberParam("concept");
  const [pointed, setPointed] = useState<number | null>(null);
  const activity = useActivity(item, pointed);
  return (
    <article className="item">
      <p className="eyebrow">
        <bdi>{visible(run.benchmarks[item.benchmark]!.name)}</bdi>
        {item.group && (
          <>
            {" "}
            › <bdi>{visible(item.group)}</bdi>
          </>
        )}
      </p>
      <h2 data-testid="item-title">
        Item <bdi>{visible(item.item_id)}</bdi>
      </h2>
      <p className="actions">
        {from !== null && (
          <button type="button" className="link" onClick={() => go({ params: { item: null } })}>
            ← Back to concept {from}
          </button>
        )}
        <CopyLink />
      </p>
      <Facts item={item} />
      {item.text === null ? (
        <p className="soft">The prompt and the response are left out of this explorer.</p>
      ) : (
        <>
          <h3>What the model read</h3>
          <p className="soft">
            The item’s own text is in full ink, what stands around it is dimmed.
            {activity.tokens.length > 0 && ` Coloured: how strongly concept ${from} is active.`}
            {activity.peak && ` Outlined: where concept ${pointed ?? from} is strongest.`}
          </p>
          <Prompt item={item} activity={activity} />
          <h3>Response</h3>
          <LongText text={item.response} none="None." />
          <h3>Expected</h3>
          <LongText text={item.answer} none="None given." />
        </>
      )}
      {item.choices && (
        <>
          <h3>Choices</h3>
          <Choices item={item} />
        </>
      )}
      <Repeated item={item} />
      {item.logprobs.length > 0 && !(item.choices && item.policy === "choice") && <Options item={item} />}
      {item.details !== null && (
        <details className="listing">
          <summary>What else its scoring says</summary>
          <Json value={item.details} />
        </details>
      )}
      <h3>Its strongest concepts</h3>
      {item.concepts.length === 0 ? (
        <p className="soft">None is active in it{item.excluded && ", because it was excluded"}.</p>
      ) : (
        <>
          <p className="soft">
            In front: <Term term="saliency">saliency</Term>, which orders them; where it is the same, the higher{" "}
            <Term term="cas">CAS</Term> is first. Pointing at one outlines where it is strongest.
          </p>
          <ul className="related" onMouseLeave={() => setPointed(null)}>
            {item.concepts.map(([concept, cas, saliency]) => (
              <li key={concept} onMouseEnter={() => setPointed(concept)} onFocus={() => setPointed(concept)}>
                <span className="soft" title={`Saliency; CAS ${magnitude(cas)}`}>
                  {decimal(saliency)}
                </span>
                <ConceptLink concept={concept} label={labelOf(table.data, concept)} />
                {table.data && <Status status={text(table.data, "performance_status", concept)} />}
              </li>
            ))}
          </ul>
        </>
      )}
    </article>
  );
}

/** How the concept that is pointed at is active here, else the one that the item was opened from. */
function useActivity(item: ItemDetail, pointed: number | null): Activity {
  const run = useRun();
  const from = useNumberParam("concept");
  const detail = useConcept(run, from).data;
  return useMemo(() => {
    const named = pointed === null && detail ? activeIn(detail, item.item) : null;
    if (named) return { peak: named.peak, tokens: named.tokens ?? [], most: deepest(detail!) };
    const [, , , start = null, end = null] = item.concepts.find(([concept]) => concept === (pointed ?? from)) ?? [];
    return start === null || end === null ? NO_ACTIVITY : { ...NO_ACTIVITY, peak: [start, end] };
  }, [item, pointed, from, detail]);
}

const labelOf = (table: Table | null, concept: number) => (table ? text(table, "label", concept) : null);

function Facts({ item }: { item: ItemDetail }) {
  const facts: [string, string][] = [
    ["Score", item.score === null ? NOT_DEFINED : decimal(item.score)],
    ["Scored by", visible(item.policy)],
    ["Length", plural(item.n_span_tokens, "token")],
    ["Tokens read", integer(item.n_tokens)],
    ["Times asked", integer(item.epochs)],
  ];
  return (
    <>
      <dl className="numbers">
        {facts.map(([name, shown]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{shown}</dd>
          </div>
        ))}
      </dl>
      {item.excluded && <p className="weak-text">Excluded, it counts nowhere: {visible(item.excluded)}</p>}
      {item.unscored && <p className="weak-text">Unscored: {visible(item.unscored)}</p>}
    </>
  );
}

/** The items of its cluster: in every test they count once. */
function Repeated({ item }: { item: ItemDetail }) {
  const route = useRoute();
  if (item.together < 2) return null;
  const same = item.repeats > 1;
  const why = same
    ? item.cluster_kind === "near"
      ? "they differ in trifles only"
      : "word for word"
    : "the benchmark says so";
  return (
    <p data-testid="item-repeats">
      <a href={address(route, { view: "items", params: { cluster: item.cluster, benchmark: null, item: null } })}>
        {plural(item.together, "item")} {same ? "ask the same" : "belong together"}
      </a>{" "}
      <span className="soft">({why}); together they count as one.</span>
    </p>
  );
}

/** Log-probabilities of options whose texts the run does not keep. */
function Options({ item: { logprobs, policy } }: { item: ItemDetail }) {
  const choice = policy === "choice";
  const best = Math.max(...logprobs);
  return (
    <>
      <h3>Log-probability of each {choice ? "option" : "option or sentence"}, in nats</h3>
      <p className="soft">
        Summed over its tokens, in the order of the item.
        {choice && " The response above is the chosen one, by this sum or by length as the policy says."}
      </p>
      <ol className="options" data-testid="item-options">
        {logprobs.map((one, i) => (
          <li key={i} className={one === best ? "likeliest" : undefined}>
            {decimal(one)}
            {one === best && " likeliest"}
          </li>
        ))}
      </ol>
    </>
  );
}
