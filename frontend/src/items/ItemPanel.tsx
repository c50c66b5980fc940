import { VisuallyHidden } from "@mantine/core";
import { useMemo, useState } from "react";
import { address, go, useRoute } from "../app/route";
import { scorerName, useModel, useNumberParam, useRun } from "../app/state";
import { characters } from "../data/characters";
import { pageHas, useConcept, useItem, useItemConcepts } from "../data/hooks";
import type { ItemDetail } from "../data/types";
import { decimal, integer, plural } from "../format";
import { shorten, shownToken, visible } from "../text";
import { CopyLink } from "../ui/Copied";
import { Facts } from "../ui/Facts";
import { Failed, Loading } from "../ui/State";
import { ActiveConcepts, Prompt } from "./ActiveItem";
import { type Activity, activeIn, activityOf, listedConcepts } from "./activity";
import { Choices, itemOf, Json, LongText } from "./parts";
import "./items.css";
import { Rows } from "../ui/Rows";

/** One item: what was asked, what was answered, and the concepts that are strongest in it. */
export function ItemPanel({ row }: { row: number }) {
  const run = useRun();
  const model = useModel();
  const item = useItem(run, row);
  if (item.error) return <Failed error={item.error} />;
  return item.data ? <Item item={itemOf(item.data, model, run.model)} /> : <Loading name="the item" />;
}

function Item({ item }: { item: ItemDetail }) {
  const run = useRun();
  const opener = useNumberParam("concept");
  const active = useItemConcepts(run, item.item);
  const detail = useConcept(run, opener).data;
  const [pointed, setPointed] = useState<number | null>(null);
  const [chosen, setChosen] = useState(opener);
  const concepts = useMemo(
    () => (active.data ? listedConcepts(active.data, opener, detail && activeIn(detail, item.item)) : []),
    [active.data, opener, detail, item],
  );
  const coloured = pointed ?? chosen;
  const activity = useMemo(() => activityOf(concepts, coloured), [concepts, coloured]);
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
        {opener !== null && (
          <button type="button" className="link" onClick={() => go({ params: { item: null } })}>
            ← Back to concept {opener}
          </button>
        )}
        <CopyLink />
      </p>
      <ItemFacts item={item} />
      {item.text === null ? (
        <p className="soft">This page leaves out the prompt and the response.</p>
      ) : (
        <>
          <h3>What {visible(run.scored.reader)} read</h3>
          <Legend item={item} concept={coloured} peak={activity.peak} />
          <Prompt item={item} activity={activity} />
        </>
      )}
      {pageHas(run, "active", item.item) && (
        <>
          <h3>Active concepts</h3>
          {active.error && <Failed error={active.error} />}
          {!active.data && !active.error && <Loading name="its concepts" />}
          {active.data?.active === 0 && (
            <p className="soft">None{item.excluded && ", because the item was excluded"}.</p>
          )}
          {active.data && concepts.length > 0 && (
            <ActiveConcepts
              concepts={concepts}
              active={active.data.active ?? concepts.length}
              colours={item.text !== null}
              opener={opener}
              chosen={chosen}
              onChoose={setChosen}
              onPoint={setPointed}
            />
          )}
        </>
      )}
      {item.response !== null && (
        <>
          <h3>Response</h3>
          <LongText text={item.response} none="" />
        </>
      )}
      {item.text !== null && (
        <>
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
      <AnswersOfModels item={item} />
      <Repeated item={item} />
      {item.logprobs.length > 0 && !(item.choices && item.scorer === "choice") && <Options item={item} />}
      {item.details !== null && (
        <details className="listing">
          <summary>More about its scoring</summary>
          <Json value={item.details} />
        </details>
      )}
    </article>
  );
}

/** What the marks in the text mean; those who cannot see them hear which token is the strongest. */
function Legend({ item, concept, peak }: { item: ItemDetail; concept: number | null; peak: Activity["peak"] }) {
  const run = useRun();
  const token = peak && shownToken(characters(item.text ?? "").slice(...peak));
  return (
    <>
      <p className="soft">
        Text around the item’s own is dimmed.{" "}
        {pageHas(run, "active", item.item) &&
          (run.has_tokens
            ? "Colour: how strongly the concept chosen below is active on each token. Outline: where it is strongest."
            : "Outline: the token on which the concept chosen below is strongest.")}
      </p>
      <VisuallyHidden role="status" data-testid="item-strongest">
        {token !== null && `Concept ${concept} is strongest on “${token}”.`}
      </VisuallyHidden>
    </>
  );
}

function ItemFacts({ item }: { item: ItemDetail }) {
  const facts = [
    { key: "score", name: "Score", shown: decimal(item.score) },
    { key: "scorer", name: "Scored by", shown: scorerName(item.scorer, useRun().models) },
    { key: "length", name: "Length", shown: plural(item.n_span_tokens, "token") },
    { key: "read", name: "Tokens read", shown: integer(item.n_tokens) },
    { key: "asked", name: "Times asked", shown: integer(item.epochs) },
  ];
  return (
    <>
      <Facts facts={facts} />
      {item.excluded && <p className="weak-text">Excluded from all figures: {visible(item.excluded)}</p>}
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
      ? "nearly word for word"
      : "word for word"
    : "according to the benchmark";
  return (
    <p data-testid="item-repeats">
      <a href={address(route, { view: "items", params: { cluster: item.cluster, benchmark: null, item: null } })}>
        {plural(item.together, "item")} {same ? "repeat each other" : "belong together"}
      </a>{" "}
      <span className="soft">({why}); together they count as one.</span>
    </p>
  );
}

/** Log-probabilities of options that stand in the text, or whose texts the run does not keep. */
function Options({ item: { logprobs, scorer } }: { item: ItemDetail }) {
  const choice = scorer === "choice";
  const best = Math.max(...logprobs);
  return (
    <>
      <h3>Log-probability of each {choice ? "option" : "option or sentence"}, in nats</h3>
      <p className="soft">
        Summed over the tokens of each option, in the item’s order.
        {choice && " The scorer picks the response by this sum or by its mean per token or character."}
      </p>
      <ol className="options" data-testid="item-options">
        {logprobs.map((logprob, i) => (
          <li key={i} className={logprob === best ? "likeliest" : undefined}>
            {decimal(logprob)}
            {logprob === best && " likeliest"}
          </li>
        ))}
      </ol>
    </>
  );
}

/** What each model did on an item, where the run has the scores of several. */
export function AnswersOfModels({ item }: { item: ItemDetail }) {
  const run = useRun();
  const model = useModel();
  if (item.models.length === 0) return null;
  const responses = item.models.some(({ response }) => response !== null);
  const reasons = item.models.some(({ unscored }) => unscored !== null);
  return (
    <>
      <h3>What every model did</h3>
      <Rows
        label="Scores of all models on the item"
        testId="item-models"
        rows={item.models.map((answer, i) => ({ ...answer, name: run.models[i] ?? "" }))}
        current={({ name }) => name === run.models[model ?? -1]}
        columns={[
          { name: "model", cell: ({ name }) => <bdi>{shorten(visible(name), 60)}</bdi> },
          { name: "score", cell: ({ score }) => decimal(score) },
          {
            name: "response",
            words: true,
            cell: responses
              ? ({ response }) => (response === null ? "" : <LongText text={response} none="None." />)
              : null,
          },
          {
            name: "why unscored",
            words: true,
            cell: reasons ? ({ unscored }) => (unscored === null ? "" : visible(unscored)) : null,
          },
        ]}
      />
    </>
  );
}
