import { Select } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { useMatches } from "../data/hooks";
import type { Matched, Matching, Tie } from "../data/types";
import { decimal, integer, plural, points } from "../format";
import { shorten, visible } from "../text";
import { ItemLink } from "../ui/ItemLink";
import { Status } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import "../answer/answer.css";
import "./matches.css";

/** Other people's lists beside the run: which entries go with failure here, which slices go with them, and chance. */
export function Matches() {
  const run = useRun();
  const file = useMatches(run.key);
  const place = useNumberParam("list") ?? 0;
  if (file.error) return <Failed error={file.error} />;
  if (!file.data) return <Loading what="the lists" />;
  const lists = file.data;
  const list = lists[place];
  if (!list) return <Failed error={new Error(`There is no list ${place}: this run has ${lists.length}.`)} />;
  return (
    <div className="answer matches" data-testid="matches">
      <h1>Known weaknesses</h1>
      {lists.length === 1 ? (
        <h2 className="first">
          <bdi>{visible(list.list)}</bdi>
        </h2>
      ) : (
        <Select
          aria-label="List"
          size="sm"
          maw={560}
          mb="sm"
          value={String(place)}
          allowDeselect={false}
          data-testid="list-picker"
          data={lists.map(({ list }, i) => ({ value: String(i), label: shorten(visible(list), 80) }))}
          onChange={(chosen) => go({ params: { list: chosen === "0" ? null : chosen } })}
        />
      )}
      <p className="soft">{HOW[list.how]}</p>
      <Rates list={list} />
      <Entries key={place} entries={list.entries} />
      <Lacks list={list} />
    </div>
  );
}

const HOW: Record<Matching["how"], string> = {
  items: "Each entry has items of its own in this run, so these show whether it goes with failure.",
  examples:
    "Each entry comes with examples, which the run’s model read. A slice matches an entry if it tells the entry’s " +
    "examples from the others.",
};

/** How many entries have an outcome, beside what chance gives. */
function Rates({ list }: { list: Matching }) {
  return (
    <Rows
      label="Rates and chance"
      testId="list-rates"
      rows={list.rates}
      columns={[
        { name: "entries", cell: ({ what }) => RATES[what] },
        { name: "how many", cell: ({ count, of }) => `${integer(count)} of ${integer(of)}` },
        {
          name: "by chance",
          hint: "Mean over random draws in which nothing matches",
          cell: ({ chance }) => decimal(chance, 1),
        },
        { name: "at most", hint: "95% of these draws stay at or below this", cell: ({ most }) => decimal(most, 1) },
      ]}
    />
  );
}

function Entries({ entries }: { entries: Matched[] }) {
  return (
    <Rows
      label="Entries"
      testId="entries"
      first={40}
      rows={entries}
      columns={[
        {
          name: "entry",
          cell: ({ name, domain }) => (
            <>
              <bdi>{shorten(visible(name), 200)}</bdi>
              {domain && (
                <div className="soft">
                  <bdi>{visible(domain)}</bdi>
                </div>
              )}
            </>
          ),
        },
        {
          name: "outcome",
          words: true,
          cell: ({ outcome, failure }) => `${OUTCOMES[outcome]}${failure ? ", goes with failure" : ""}`,
        },
        {
          name: "association",
          hint: "Its own items beside comparable ones, in points",
          cell: ({ association, low, high }) =>
            association === null ? "" : `${points(association)} (${points(low)} to ${points(high)})`,
        },
        { name: "items", cell: ({ items, examples }) => integer(items || examples) },
        { name: "matching slices", words: true, cell: ({ ties }) => <Ties ties={ties} /> },
        {
          name: "examples",
          words: true,
          cell: ({ rows }) =>
            rows.map((row) => (
              <ItemLink key={row} row={row}>
                item {row}
              </ItemLink>
            )),
        },
      ]}
    />
  );
}

const RATES: Record<Matching["rates"][number]["what"], string> = {
  failure: "go with failure",
  matched: "matched",
  recovered: "recovered",
  "failure recovered": "recovered, of those that go with failure",
  untested: "untested",
};

const OUTCOMES: Record<Matched["outcome"], string> = {
  recovered: "recovered",
  untested: "not tested by these items",
  matched: "matched",
  none: "no match",
  few: "too few examples",
};

/** The slices that go with an entry. */
function Ties({ ties }: { ties: Tie[] }) {
  const route = useRoute();
  return (
    <ul className="evidence">
      {ties.slice(0, 3).map(({ slice, name, auc, status }) => (
        <li key={slice}>
          <a href={address(route, { view: "slice", rest: slice })}>
            <bdi>{shorten(visible(name), 70)}</bdi>
          </a>
          {status && <Status status={status === "thin" ? "under" : status} />}
          {auc !== null && <span className="soft">AUC {decimal(auc)}</span>}
        </li>
      ))}
    </ul>
  );
}

/** What the answer lists and no entry goes with. */
function Lacks({ list: { lacks } }: { list: Matching }) {
  const route = useRoute();
  if (lacks.length === 0) return null;
  return (
    <section aria-label="What the list misses">
      <h2>{plural(lacks.length, "finding")} that no entry matches</h2>
      <ul className="evidence">
        {lacks.map(({ slice, name, gap }) => (
          <li key={slice}>
            <a href={address(route, { view: "slice", rest: slice })}>
              <bdi>{shorten(visible(name), 90)}</bdi>
            </a>
            <span className={gap < 0 ? "points weak" : "points strong"}>{points(gap, 0)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
