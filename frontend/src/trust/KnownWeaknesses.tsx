import { Select } from "@mantine/core";
import { address, go, useRoute } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { useMatches } from "../data/hooks";
import type { Matched, Matching } from "../data/types";
import { decimal, integer, plural, points } from "../format";
import { shorten, visible } from "../text";
import { ItemLink, Status } from "../ui/Marks";
import { Rows, type RowsColumn } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";

/** Lists of known weaknesses beside the run: how many entries it recovers, beside chance, and what each list misses. */
export function KnownWeaknesses() {
  const { data: lists, error } = useMatches(useRun().key);
  const index = useNumberParam("list") ?? 0;
  if (error) return <Failed error={error} />;
  if (!lists) return <Loading name="the lists" />;
  const list = lists[index];
  return (
    <section aria-label="Known weaknesses" data-testid="known-weaknesses">
      <h2>Known weaknesses</h2>
      <Select
        aria-label="List"
        size="xs"
        maw={560}
        mb="sm"
        value={String(index)}
        allowDeselect={false}
        data-testid="list-picker"
        data={lists.map(({ list }, i) => ({ value: String(i), label: shorten(visible(list), 80) }))}
        onChange={(chosen) => go({ params: { list: chosen } })}
      />
      {list ? (
        <List key={index} list={list} />
      ) : (
        <Failed error={new Error(`There is no list ${index}: this run has ${lists.length}.`)} />
      )}
    </section>
  );
}

function List({ list: { how, rates, entries, lacks } }: { list: Matching }) {
  const route = useRoute();
  return (
    <>
      <p className="soft">{HOW[how]}</p>
      <Rows label="Rates and chance" testId="list-rates" rows={rates} columns={RATE_COLUMNS} />
      <Rows label="Entries" testId="entries" first={40} rows={entries} columns={ENTRY_COLUMNS} />
      {lacks.length > 0 && (
        <>
          <h3>{plural(lacks.length, "finding")} that no entry matches</h3>
          <ul className="evidence">
            {lacks.map(({ slice, name, gap }) => (
              <li key={slice}>
                <a href={address(route, { view: "slice", slice })}>
                  <bdi>{shorten(visible(name), 90)}</bdi>
                </a>
                <span className={gap < 0 ? "points weak" : "points strong"}>{points(gap, 0)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

const HOW: Record<Matching["how"], string> = {
  items: "Each entry has items of its own in this run, so these show whether it goes with failure.",
  examples:
    "Each entry comes with examples, which the run’s model read. A slice matches an entry if it tells the entry’s " +
    "examples from the others.",
};

const RATES: Record<Matching["rates"][number]["what"], string> = {
  failure: "go with failure",
  matched: "matched",
  recovered: "recovered",
  "failure recovered": "recovered, of those that go with failure",
  untested: "untested",
};

const RATE_COLUMNS: RowsColumn<Matching["rates"][number]>[] = [
  { name: "entries", cell: ({ what }) => RATES[what] },
  { name: "how many", cell: ({ count, of }) => `${integer(count)} of ${integer(of)}` },
  {
    name: "by chance",
    hint: "Mean over random draws in which nothing matches",
    cell: ({ chance }) => decimal(chance, 1),
  },
  { name: "at most", hint: "95% of these draws stay at or below this", cell: ({ most }) => decimal(most, 1) },
];

const OUTCOMES: Record<Matched["outcome"], string> = {
  recovered: "recovered",
  untested: "not tested by these items",
  matched: "matched",
  none: "no match",
  few: "too few examples",
};

const ENTRY_COLUMNS: RowsColumn<Matched>[] = [
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
    hint: "Its items beside comparable ones, in points",
    cell: ({ association, low, high }) =>
      association === null ? "" : `${points(association)} (${points(low)} to ${points(high)})`,
  },
  { name: "items", cell: ({ items, examples }) => integer(items || examples) },
  { name: "matching slices", words: true, cell: ({ ties }) => <MatchingSlices ties={ties} /> },
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
];

/** The slices that match an entry best. */
function MatchingSlices({ ties }: { ties: Matched["ties"] }) {
  const route = useRoute();
  return (
    <ul className="evidence">
      {ties.slice(0, 3).map(({ slice, name, auc, status }) => (
        <li key={slice}>
          <a href={address(route, { view: "slice", slice })}>
            <bdi>{shorten(visible(name), 70)}</bdi>
          </a>
          {status && <Status status={status === "thin" ? "under" : status} />}
          {auc !== null && <span className="soft">AUC {decimal(auc)}</span>}
        </li>
      ))}
    </ul>
  );
}
