import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useMatches, useTable, useThemes } from "../data/hooks";
import { number, text } from "../data/table";
import type { ListedEntry, MatchedList, MatchPair, Theme } from "../data/types";
import { decimal, integer, NOT_DEFINED, probability, signed } from "../format";
import { shorten, visible } from "../text";
import { CopyLink } from "../ui/Copied";
import { Facts } from "../ui/Facts";
import { Hint } from "../ui/Hint";
import { Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { entryAt, firstOf } from "./choose";
import { OutcomeMark, PairLink } from "./EntryTable";
import { Examples } from "./Examples";
import { entryName, entrySentence, listName, STRENGTH } from "./words";
import "../compare/compare.css";
import "../concept/concept.css";
import "../findings/findings.css";
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
    <article className="finding entry" data-testid="entry" key={rest}>
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
    <p className="eyebrow finding-turn">
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

/** The concepts and themes that match it, with the run's own figures of them. */
function Pairs({ list, entry }: { list: MatchedList; entry: ListedEntry }) {
  const run = useRun();
  const table = useTable(entry.pairs.length > 0 ? run.key : null, "concepts.parquet");
  const themes = useThemes(run);
  const strength = STRENGTH[list.by];
  if (entry.pairs.length === 0) return <p className="soft">Nothing: no concept and no theme matches it.</p>;
  if (table.error) return <Failed error={table.error} />;
  if (!table.data) return <Loading what="its concepts" />;
  const judged = entry.pairs.some(({ verdict }) => verdict !== null);
  return (
    <div className="compare-table" role="region" tabIndex={0} aria-label="Concepts and themes that match it">
      <table data-testid="entry-pairs">
        <thead>
          <tr>
            <th scope="col">concept or theme</th>
            <th scope="col">
              <Hint hint={strength.hint} term={list.by === "examples" ? "auroc" : null}>
                {strength.name}
              </Hint>
            </th>
            <th scope="col">its p</th>
            <th scope="col" className="words">
              verdict
            </th>
            <th scope="col">gap</th>
            <th scope="col">q</th>
            <th scope="col">χ model</th>
            <th scope="col" className="words">
              coverage
            </th>
            {judged && (
              <th scope="col" className="words">
                a model’s verdict
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {entry.pairs.map((pair) => (
            <tr key={`${pair.level ?? "concept"} ${pair.concept ?? pair.theme}`}>
              <th scope="row">
                <PairLink pair={pair} />
                {pair.leader !== null && pair.leader !== pair.concept && (
                  <div className="soft">active in the same examples as {pair.leader}</div>
                )}
              </th>
              <td>{decimal(pair.strength)}</td>
              <td>{probability(pair.p_value)}</td>
              <Figures pair={pair} table={table.data} themes={themes.data?.themes ?? []} />
              {judged && <td className="words">{pair.verdict ?? NOT_DEFINED}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type Table = Parameters<typeof number>[0];

function Figures({ pair, table, themes }: { pair: MatchPair; table: Table; themes: Theme[] }) {
  const theme = themes.find(({ level, id }) => level === pair.level && id === pair.theme);
  const { concept } = pair;
  const at = (key: "gap" | "q_value" | "chi_model") =>
    concept === null ? (theme?.[key] ?? null) : number(table, key, concept);
  const status = concept === null ? (theme?.performance_status ?? null) : text(table, "performance_status", concept);
  return (
    <>
      <td className="words">
        <Status status={status} />
      </td>
      <td>{signed(at("gap"))}</td>
      <td>{probability(at("q_value"))}</td>
      <td>{decimal(at("chi_model"))}</td>
      <td className="words">
        {concept === null ? (
          <span className="soft">N/A</span>
        ) : (
          <Status status={text(table, "coverage_status", concept)} />
        )}
      </td>
    </>
  );
}
