import type { ReactNode } from "react";
import { againstPeers } from "../app/family";
import { useRun, useRunList } from "../app/state";
import { useTable, useThemes } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { ListedEntry, ListedRun, MatchedList, MatchPair, Theme } from "../data/types";
import { decimal, magnitude, NOT_DEFINED, probability, signed } from "../format";
import { Status } from "../ui/Marks";
import { Rows, type RowsColumn } from "../ui/Rows";
import { Failed, Loading } from "../ui/State";
import { PairLink } from "./EntryTable";
import { LABEL_SIMILARITY, STRENGTH } from "./words";

/** What a run says of a pair's concept or theme. */
interface Told {
  figure: (key: "gap" | "q_value" | "chi_model" | "chi_bench" | "lift") => number | null;
  performance: string | null;
  coverage: string | null;
}

interface Row {
  pair: MatchPair;
  told: Told;
  /** The same of the scores against peers; null: there are none. */
  peers: Told | null;
}

/** The concepts and themes that match an entry, with the run's own figures of them. */
export function Pairs({ list, entry }: { list: MatchedList; entry: ListedEntry }) {
  const run = useRun();
  const { runs } = useRunList();
  const table = useTable(entry.pairs.length > 0 ? run.key : null, "concepts.parquet");
  const themes = useThemes(run);
  const peers = entry.pairs.length > 0 ? againstPeers(run.key, runs) : null;
  const ofPeers = useTable(peers?.key ?? null, "concepts.parquet");
  if (entry.pairs.length === 0) return <p className="soft">Nothing: no concept and no theme matches it.</p>;
  const error = table.error ?? ofPeers.error;
  if (error) return <Failed error={error} />;
  if (!table.data || (peers && !ofPeers.data)) return <Loading what="its concepts" />;
  return (
    <Rows
      label="Concepts and themes that match it"
      testId="entry-pairs"
      rows={entry.pairs.map((pair) => ({
        pair,
        told: toldOf(pair, table.data, themes.data?.themes ?? []),
        peers: ofPeers.data && toldOf(pair, ofPeers.data, []),
      }))}
      columns={[
        {
          name: "concept or theme",
          cell: ({ pair }) => (
            <>
              <PairLink pair={pair} />
              {pair.leader !== null && pair.leader !== pair.concept && (
                <div className="soft">active in the same examples as {pair.leader}</div>
              )}
            </>
          ),
        },
        ...shownColumns(list, entry, run.has.lift, peers),
      ]}
    />
  );
}

/** The columns beside the name: those in which the list, the run or its models have something to show. */
function shownColumns(list: MatchedList, entry: ListedEntry, lift: boolean, peers: ListedRun | null) {
  const has = (key: "label_similarity" | "verdict") => entry.pairs.some((pair) => pair[key] !== null);
  const only = (shown: boolean, cell: (row: Row) => ReactNode) => (shown ? cell : null);
  const columns: RowsColumn<Row>[] = [
    { ...STRENGTH[list.by], cell: ({ pair }) => decimal(pair.strength) },
    { name: "its p", cell: ({ pair }) => probability(pair.p_value) },
    { ...LABEL_SIMILARITY, cell: only(has("label_similarity"), ({ pair }) => decimal(pair.label_similarity)) },
    { name: "verdict", words: true, cell: ({ told }) => <Status status={told.performance} /> },
    { name: "gap", cell: ({ told }) => signed(told.figure("gap")) },
    { name: "q", cell: ({ told }) => probability(told.figure("q_value")) },
    {
      name: "gap against peers",
      hint: `The same, of scores against ${peers?.scored.against.join(", ")}: models of its level`,
      cell: only(peers !== null, (row) => signed(row.peers?.figure("gap") ?? null)),
    },
    { name: "χ model", cell: ({ told }) => decimal(told.figure("chi_model")) },
    { name: "χ bench", cell: ({ told }) => magnitude(told.figure("chi_bench")) },
    { name: "lift", cell: only(lift, ({ told }) => signed(told.figure("lift"), 1)) },
    {
      name: "coverage",
      words: true,
      cell: ({ pair, told }) => (pair.concept === null ? NOT_DEFINED : <Status status={told.coverage} />),
    },
    { name: "a model’s verdict", words: true, cell: only(has("verdict"), ({ pair }) => pair.verdict ?? NOT_DEFINED) },
  ];
  return columns;
}

function toldOf(pair: MatchPair, table: Table, themes: Theme[]): Told {
  const { concept } = pair;
  if (concept !== null)
    return {
      figure: (key) => number(table, key, concept),
      performance: text(table, "performance_status", concept),
      coverage: text(table, "coverage_status", concept),
    };
  const theme = themes.find(({ level, id }) => level === pair.level && id === pair.theme);
  return {
    figure: (key) => (key === "lift" ? null : (theme?.[key] ?? null)),
    performance: theme?.performance_status ?? null,
    coverage: null,
  };
}
