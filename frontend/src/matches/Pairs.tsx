import type { ReactNode } from "react";
import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { ListedEntry, MatchedList, MatchPair } from "../data/types";
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
}

/** The concepts and themes that match an entry, with the run's own figures of them. */
export function Pairs({ list, entry }: { list: MatchedList; entry: ListedEntry }) {
  const run = useRun();
  const table = useTable(entry.pairs.length > 0 ? run.key : null, "concepts.parquet");
  if (entry.pairs.length === 0) return <p className="soft">Nothing: no concept and no theme matches it.</p>;
  if (table.error) return <Failed error={table.error} />;
  if (!table.data) return <Loading what="its concepts" />;
  return (
    <Rows
      label="Concepts and themes that match it"
      testId="entry-pairs"
      rows={entry.pairs.map((pair) => ({
        pair,
        told: toldOf(pair, table.data),
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
        ...shownColumns(list, entry, run.has.lift),
      ]}
    />
  );
}

/** The columns beside the name: those in which the list, the run or its models have something to show. */
function shownColumns(list: MatchedList, entry: ListedEntry, lift: boolean) {
  const has = (key: "label_similarity" | "verdict") => entry.pairs.some((pair) => pair[key] !== null);
  const only = (shown: boolean, cell: (row: Row) => ReactNode) => (shown ? cell : null);
  const columns: RowsColumn<Row>[] = [
    { ...STRENGTH[list.by], cell: ({ pair }) => decimal(pair.strength) },
    { name: "its p", cell: ({ pair }) => probability(pair.p_value) },
    { ...LABEL_SIMILARITY, cell: only(has("label_similarity"), ({ pair }) => decimal(pair.label_similarity)) },
    { name: "verdict", words: true, cell: ({ told }) => <Status status={told.performance} /> },
    { name: "gap", cell: ({ told }) => signed(told.figure("gap")) },
    { name: "q", cell: ({ told }) => probability(told.figure("q_value")) },
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

function toldOf({ concept }: MatchPair, table: Table): Told {
  if (concept === null) return { figure: () => null, performance: null, coverage: null };
  return {
    figure: (key) => number(table, key, concept),
    performance: text(table, "performance_status", concept),
    coverage: text(table, "coverage_status", concept),
  };
}
