import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useMatches } from "../data/hooks";
import type { ListedEntry, MatchedList } from "../data/types";
import { decimal, integer } from "../format";
import { shorten, visible } from "../text";
import { CopyLink } from "../ui/Copied";
import { Facts } from "../ui/Facts";
import { Failed, Loading } from "../ui/State";
import { entryAt, firstOf } from "./choose";
import { OutcomeMark } from "./EntryTable";
import { Examples } from "./Examples";
import { Pairs } from "./Pairs";
import { entryName, entrySentence, listName } from "./words";
import "../compare/compare.css";
import "../concept/concept.css";
import "../answer/answer.css";
import "./matches.css";

/** One entry of somebody's list: what it is, what the run says of it, and its examples. */
export function EntryView() {
  const run = useRun();
  const { rest } = useRoute();
  const file = useMatches(run.has.matches ? run.key : null);
  if (file.error) return <Failed error={file.error} />;
  if (!file.data && run.has.matches) return <Loading what="the entry" />;
  const lists = file.data?.lists ?? [];
  const asked = /^\d{1,9}$/.test(rest) ? entryAt(lists, Number(rest)) : null;
  if (!asked)
    return <Failed error={new Error(`There is no entry ${rest ? `“${shorten(rest, 40)}”` : "without a number"}.`)} />;
  const { list, entry } = asked;
  return (
    <article className="answer entry" data-testid="entry" key={rest}>
      <Turn lists={lists} number={Number(rest)} />
      <h1 data-testid="entry-title">
        <bdi>{entryName(entry, run.redacted)}</bdi>
      </h1>
      <p className="verdict" data-testid="entry-outcome">
        <OutcomeMark outcome={entry.outcome} by={list.by} />
      </p>
      <p>{entrySentence(entry, list.by)}</p>
      <p className="actions">
        <CopyLink />
      </p>
      <About list={list} entry={entry} />
      <section>
        <h2>What the run says of it</h2>
        <Pairs list={list} entry={entry} />
      </section>
      <section>
        <h2>Examples</h2>
        <Examples number={Number(rest)} entry={entry} />
      </section>
    </article>
  );
}

function Turn({ lists, number }: { lists: MatchedList[]; number: number }) {
  const route = useRoute();
  const { list, place, position } = entryAt(lists, number)!;
  const first = firstOf(lists, place);
  const to = (at: number, name: string) =>
    list.entries[at] && <a href={address(route, { rest: first + at })}>{name}</a>;
  return (
    <p className="eyebrow turn">
      <a href={address(route, { view: "matches", params: { list: place || null } })}>
        <bdi>{listName(list)}</bdi>
      </a>{" "}
      › {integer(position + 1)} of {integer(list.entries.length)}
      <span className="spring" />
      {to(position - 1, "← Previous")} {to(position + 1, "Next →")}
    </p>
  );
}

function About({ list, entry }: { list: MatchedList; entry: ListedEntry }) {
  const run = useRun();
  const facts = [
    ...(run.redacted ? [] : [{ key: "id", name: "Id in the list", shown: <bdi>{visible(entry.entry)}</bdi> }]),
    ...(entry.domain === null ? [] : [{ key: "domain", name: "Domain", shown: <bdi>{visible(entry.domain)}</bdi> }]),
    ...(entry.category === null
      ? []
      : [{ key: "category", name: "Category", shown: <bdi>{visible(entry.category)}</bdi> }]),
    ...(entry.score === null
      ? []
      : [{ key: "listed", name: "The list’s score", shown: decimal(entry.score), hint: "On the list’s own scale" }]),
    ...(list.by === "examples" ? [{ key: "examples", name: "Examples read", shown: integer(entry.examples) }] : []),
  ];
  return facts.length > 0 && <Facts testId="entry-facts" facts={facts} />;
}
