import { Button, SegmentedControl, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { address, go, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { type ListedEntry, type MatchedList, type MatchPair, OUTCOME_WORDS } from "../data/types";
import { decimal, integer, plural } from "../format";
import { shorten, visible } from "../text";
import { Hint } from "../ui/Hint";
import { ConceptLink } from "../ui/Marks";
import { Empty } from "../ui/State";
import { type Chosen, chosenEntries, outcomeCounts } from "./choose";
import { entryName, OUTCOMES, type Outcome, outcomeSentence, pairName, STRENGTH } from "./words";

/** Entries that are shown at first, and that are added. */
const STEP = 100;

/** The entries of a list with their outcomes. Each leads to its page. */
export function EntryTable({ list, first }: { list: MatchedList; first: number }) {
  const { params } = useRoute();
  const [room, setRoom] = useState(STEP);
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
        <div className="compare-table" role="region" tabIndex={0} aria-label="Table of entries">
          <table className="entries" data-testid="entries">
            <thead>
              <tr>
                <th scope="col">entry</th>
                <th scope="col" className="words">
                  outcome
                </th>
                <th scope="col" className="words">
                  strongest concept
                </th>
                <th scope="col">
                  <Hint hint={STRENGTH[list.by].hint} term={list.by === "examples" ? "auroc" : null}>
                    {STRENGTH[list.by].name}
                  </Hint>
                </th>
                {list.by === "examples" && <th scope="col">examples</th>}
                {list.entries.some(({ score }) => score !== null) && (
                  <th scope="col" title="The list’s own score, on its own scale">
                    list’s score
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {entries.slice(0, room).map((chosen) => (
                <Row key={chosen.number} list={list} chosen={chosen} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {entries.length > room && (
        <Button size="xs" variant="subtle" mt="xs" onClick={() => setRoom(room + 10 * STEP)}>
          Show more of {plural(entries.length, "entry", "entries")}
        </Button>
      )}
    </section>
  );
}

function Filters({ list, outcome }: { list: MatchedList; outcome: Outcome | null }) {
  const query = useRoute().params.get("q") ?? "";
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
      <TextInput
        size="xs"
        className="search"
        type="search"
        aria-label="Search entries"
        data-testid="entry-search"
        placeholder="Search entries"
        leftSection={<IconSearch size={14} />}
        value={query}
        onChange={(event) => go({ params: { q: event.currentTarget.value } }, true)}
      />
    </div>
  );
}

function Row({ list, chosen: { entry, number } }: { list: MatchedList; chosen: Chosen }) {
  const run = useRun();
  const route = useRoute();
  const strongest = entry.pairs[0];
  const about = [entry.domain, entry.category].filter((part) => part !== null);
  return (
    <tr data-entry={number}>
      <th scope="row">
        <a href={address(route, { view: "entry", rest: number })}>
          <bdi>{shorten(entryName(entry, run.redacted), 160)}</bdi>
        </a>
        {about.length > 0 && <div className="soft">{shorten(visible(about.join(" › ")), 90)}</div>}
      </th>
      <td className="words">
        <OutcomeMark outcome={entry.outcome} by={list.by} />
      </td>
      <td className="words">{strongest ? <PairLink pair={strongest} /> : <span className="soft">none</span>}</td>
      <td>{strongest ? decimal(strongest.strength) : "N/A"}</td>
      {list.by === "examples" && <td>{integer(entry.examples)}</td>}
      {list.entries.some(({ score }) => score !== null) && <td>{decimal(entry.score)}</td>}
    </tr>
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
