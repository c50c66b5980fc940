import { SegmentedControl } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { type ListedEntry, type MatchedList, type MatchPair, OUTCOME_WORDS } from "../data/types";
import { decimal, integer } from "../format";
import { shorten, visible } from "../text";
import { ConceptLink } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { SearchField } from "../ui/SearchField";
import { Empty } from "../ui/State";
import { type Chosen, chosenEntries, outcomeCounts } from "./choose";
import { entryName, OUTCOMES, type Outcome, outcomeSentence, pairName, STRENGTH } from "./words";

/** The entries of a list with their outcomes. Each leads to its page. */
export function EntryTable({ list, first }: { list: MatchedList; first: number }) {
  const { params } = useRoute();
  const given = params.get("outcome");
  const outcome = OUTCOMES.find((known) => known === given) ?? null;
  const entries = chosenEntries(list, first, outcome, params.get("q") ?? "");
  return (
    <section aria-label="Entries">
      <h2>Entries</h2>
      <Filters list={list} outcome={outcome} />
      {entries.length === 0 ? (
        <Empty>No entry of the list is as asked for.</Empty>
      ) : (
        <Rows
          label="Table of entries"
          testId="entries"
          first={100}
          rows={entries}
          columns={[
            { name: "entry", cell: ({ entry, number }) => <EntryName entry={entry} number={number} /> },
            {
              name: "outcome",
              words: true,
              cell: ({ entry }) => <OutcomeMark outcome={entry.outcome} by={list.by} />,
            },
            {
              name: "strongest concept",
              words: true,
              cell: ({ entry: { pairs } }) => (pairs[0] ? <PairLink pair={pairs[0]} /> : "none"),
            },
            { ...STRENGTH[list.by], cell: ({ entry: { pairs } }) => decimal(pairs[0]?.strength) },
            { name: "examples", cell: list.by === "examples" ? ({ entry }) => integer(entry.examples) : null },
            {
              name: "list’s score",
              hint: "The list’s own score, on its own scale",
              cell: list.entries.some(({ score }) => score !== null) ? ({ entry }) => decimal(entry.score) : null,
            },
          ]}
        />
      )}
    </section>
  );
}

function Filters({ list, outcome }: { list: MatchedList; outcome: Outcome | null }) {
  return (
    <div className="entry-filters">
      <SegmentedControl
        size="xs"
        aria-label="Outcome"
        data-testid="entry-outcomes"
        value={outcome ?? ""}
        data={[
          { value: "", label: `All ${integer(list.entries.length)}` },
          ...outcomeCounts(list).map(([value, count]) => ({
            value,
            label: `${OUTCOME_WORDS[value]} ${integer(count)}`,
          })),
        ]}
        onChange={(value) => go({ params: { outcome: value || null } })}
      />
      <SearchField label="Search entries" testId="entry-search" />
    </div>
  );
}

function EntryName({ entry, number }: Chosen) {
  const run = useRun();
  const route = useRoute();
  const about = [entry.domain, entry.category].filter((part) => part !== null);
  return (
    <>
      <a href={address(route, { view: "entry", rest: number })} data-entry={number}>
        <bdi>{shorten(entryName(entry, run.redacted), 160)}</bdi>
      </a>
      {about.length > 0 && <div className="soft">{shorten(visible(about.join(" › ")), 90)}</div>}
    </>
  );
}

/** An outcome in words, in the colour of a weakness where it is one. */
export function OutcomeMark({ outcome, by }: { outcome: ListedEntry["outcome"]; by: MatchedList["by"] }) {
  return (
    <span className={`outcome ${outcome.replace(" ", "-")}`} title={outcomeSentence(outcome, by)}>
      {OUTCOME_WORDS[outcome]}
    </span>
  );
}

/** The concept, or the theme, of a pair. */
export function PairLink({ pair }: { pair: MatchPair }) {
  const route = useRoute();
  if (pair.concept !== null) return <ConceptLink concept={pair.concept} label={pair.label} limit={70} />;
  const level = pair.level ?? "theme";
  return (
    <a href={address(route, { view: "concepts", params: { [level]: pair.theme } })}>
      {level} <bdi>{shorten(pairName(pair), 70)}</bdi>
    </a>
  );
}
