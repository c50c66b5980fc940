import type { ReactNode } from "react";
import { againstPeers } from "../app/family";
import { useRun, useRunList } from "../app/state";
import { useTable, useThemes } from "../data/hooks";
import { number, type Table, text } from "../data/table";
import type { ListedEntry, ListedRun, MatchedList, MatchPair, Theme } from "../data/types";
import { decimal, magnitude, NOT_DEFINED, probability, signed } from "../format";
import { Hint } from "../ui/Hint";
import { Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { PairLink } from "./EntryTable";
import { LABEL_SIMILARITY, STRENGTH } from "./words";

/** What a run says of a pair's concept or theme. */
interface Told {
  figure: (key: "gap" | "q_value" | "chi_model" | "chi_bench" | "lift") => number | null;
  performance: string | null;
  coverage: string | null;
}

interface Column {
  name: string;
  hint?: string;
  term?: string;
  words?: boolean;
  cell: (pair: MatchPair, told: Told, peers: Told | null) => ReactNode;
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
  const columns = shownColumns(list, entry, run.has.lift, peers);
  return (
    <div className="compare-table" role="region" tabIndex={0} aria-label="Concepts and themes that match it">
      <table data-testid="entry-pairs">
        <thead>
          <tr>
            <th scope="col">concept or theme</th>
            {columns.map(({ name, hint, term, words }) => (
              <th scope="col" key={name} className={words ? "words" : undefined}>
                {hint ? (
                  <Hint hint={hint} term={term ?? null}>
                    {name}
                  </Hint>
                ) : (
                  name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entry.pairs.map((pair) => {
            const told = toldOf(pair, table.data, themes.data?.themes ?? []);
            const besides = ofPeers.data && toldOf(pair, ofPeers.data, []);
            return (
              <tr key={`${pair.level ?? "concept"} ${pair.concept ?? pair.theme}`}>
                <th scope="row">
                  <PairLink pair={pair} />
                  {pair.leader !== null && pair.leader !== pair.concept && (
                    <div className="soft">active in the same examples as {pair.leader}</div>
                  )}
                </th>
                {columns.map(({ name, words, cell }) => (
                  <td key={name} className={words ? "words" : undefined}>
                    {cell(pair, told, besides)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** The columns beside the name: those in which the list, the run or its models have something to show. */
function shownColumns(list: MatchedList, entry: ListedEntry, lift: boolean, peers: ListedRun | null): Column[] {
  const similar = entry.pairs.some(({ label_similarity }) => label_similarity !== null);
  const judged = entry.pairs.some(({ verdict }) => verdict !== null);
  const only = (shown: boolean, column: Column) => (shown ? [column] : []);
  return [
    {
      ...STRENGTH[list.by],
      ...(list.by === "examples" ? { term: "auroc" } : {}),
      cell: ({ strength }) => decimal(strength),
    },
    { name: "its p", cell: ({ p_value }) => probability(p_value) },
    ...only(similar, { ...LABEL_SIMILARITY, cell: ({ label_similarity }) => decimal(label_similarity) }),
    { name: "verdict", words: true, cell: (_, { performance }) => <Status status={performance} /> },
    { name: "gap", cell: (_, { figure }) => signed(figure("gap")) },
    { name: "q", cell: (_, { figure }) => probability(figure("q_value")) },
    ...only(peers !== null, {
      name: "gap against peers",
      hint: `The same, of scores against ${peers?.scored.against.join(", ")}: models of its level`,
      cell: (_, __, besides) => signed(besides?.figure("gap") ?? null),
    }),
    { name: "χ model", cell: (_, { figure }) => decimal(figure("chi_model")) },
    { name: "χ bench", cell: (_, { figure }) => magnitude(figure("chi_bench")) },
    ...only(lift, { name: "lift", cell: (_, { figure }) => signed(figure("lift"), 1) }),
    {
      name: "coverage",
      words: true,
      cell: ({ concept }, { coverage }) =>
        concept === null ? <span className="soft">{NOT_DEFINED}</span> : <Status status={coverage} />,
    },
    ...only(judged, { name: "a model’s verdict", words: true, cell: ({ verdict }) => verdict ?? NOT_DEFINED }),
  ];
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
