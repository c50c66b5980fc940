import { Select } from "@mantine/core";
import { go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useMatches } from "../data/hooks";
import type { MatchedList } from "../data/types";
import { plural } from "../format";
import { shorten, visible } from "../text";
import { Term } from "../ui/Hint";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { firstOf } from "./choose";
import { EntryTable } from "./EntryTable";
import { Unnamed } from "./Unnamed";
import { distinctName, howSentence, listName, rateCells } from "./words";
import "../compare/compare.css";
import "./matches.css";

/** Other people's lists beside the run: which of their entries it shows, and which weak concepts none of them names. */
export function Matches() {
  const run = useRun();
  const { params } = useRoute();
  const file = useMatches(run.key);
  if (file.error) return <Failed error={file.error} />;
  if (!file.data) return <Loading what="the lists" />;
  const { lists } = file.data;
  const asked = params.get("list") ?? "0";
  const place = /^\d{1,6}$/.test(asked) ? Number(asked) : -1;
  const list = lists[place];
  if (!list)
    return <Failed error={new Error(`There is no list ${shorten(asked, 40)}: this run has ${lists.length}.`)} />;
  return (
    <div className="matches" data-testid="matches">
      <h1>Known weaknesses</h1>
      <p className="lead">
        Weaknesses, qualities or probes that others have listed, compared with this run by <code>cgaps match</code>:
        which <Term term="entry">entries</Term> does the run show as weak, which does the suite not test, and which weak
        concepts does no entry name?
      </p>
      <Picker lists={lists} place={place} />
      <p className="soft" data-testid="list-how">
        {howSentence(list)}
        {list.where && ` Only entries where ${visible(list.where)}.`}
      </p>
      <Rates list={list} />
      <EntryTable key={place} list={list} first={firstOf(lists, place)} />
      <Unnamed list={list} />
    </div>
  );
}

function Picker({ lists, place }: { lists: MatchedList[]; place: number }) {
  if (lists.length === 1)
    return (
      <h2 className="first">
        <bdi>{listName(lists[0]!)}</bdi>
      </h2>
    );
  return (
    <Select
      aria-label="List"
      size="sm"
      maw={560}
      mb="sm"
      value={String(place)}
      allowDeselect={false}
      data-testid="list-picker"
      data={lists.map((list, i) => ({ value: String(i), label: distinctName(list, lists) }))}
      onChange={(chosen) => go({ params: { list: chosen === "0" ? null : chosen, outcome: null, q: null } })}
    />
  );
}

/** How many entries have an outcome, beside what chance gives. */
function Rates({ list }: { list: MatchedList }) {
  return (
    <Rows
      label="Rates beside chance"
      testId="list-rates"
      rows={list.rates.map(rateCells)}
      columns={[
        { name: `of ${plural(list.rates[0]!.of, "entry", "entries")} compared`, cell: ({ name }) => name },
        { name: "entries [95% interval]", cell: ({ share }) => share },
        { name: "by chance", cell: ({ chance }) => chance },
        { name: "p", cell: ({ p }) => p },
      ]}
    />
  );
}
