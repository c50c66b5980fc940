import { go } from "../app/route";
import { useRun } from "../app/state";
import type { QueryEvent } from "../data/types";
import { integer } from "../format";
import { visible } from "../text";
import { ConceptName } from "../ui/Marks";
import { type Row, shownResult, title, words } from "./turn";

/** Where the number of an answer leads. */
export const anchorOf = (turn: number, query: number) => `query-${turn}-${query}`;

/** A query that the model asked, with what came back. */
export function Query({ turn, event }: { turn: number; event: QueryEvent }) {
  const { facts, tables } = shownResult(event.result);
  const failed = facts.length === 1 && facts[0]?.[0] === "error";
  const total = facts.find(([name]) => name === "total")?.[1];
  return (
    <details className="chat-query" id={anchorOf(turn, event.id)} data-testid="chat-query">
      <summary>
        <span className="chat-query-id">{event.id}</span> <code>{visible(event.name)}</code>{" "}
        <Arguments given={event.arguments} />
        <span className="soft chat-query-size">
          {failed
            ? "refused"
            : typeof total === "number"
              ? `${integer(tables[0]?.rows.length ?? 0)} of ${integer(total)}`
              : ""}
        </span>
      </summary>
      {facts.length > 0 && (
        <dl className="chat-facts">
          {facts.map(([name, value]) => (
            <div key={name}>
              <dt>{title(name)}</dt>
              <dd>{words(value)}</dd>
            </div>
          ))}
        </dl>
      )}
      {tables.map(({ name, columns, rows }) => (
        <ResultTable key={name} name={name} columns={columns} rows={rows} />
      ))}
    </details>
  );
}

function Arguments({ given }: { given: Record<string, unknown> }) {
  const entries = Object.entries(given);
  return <span className="soft">{entries.map(([name, value]) => `${title(name)}: ${words(value)}`).join(", ")}</span>;
}

function ResultTable({ name, columns, rows }: { name: string; columns: string[]; rows: Row[] }) {
  return (
    <div className="chat-table" tabIndex={0} role="region" aria-label={title(name)}>
      <table>
        <caption>{title(name)}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {title(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {columns.map((column) => (
                <td key={column} className={kindOf(row[column])}>
                  <Cell column={column} value={row[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const LONG = 24;

/** Numbers stay on a line; long texts get room. */
function kindOf(value: unknown): string | undefined {
  if (typeof value === "number") return "short";
  return typeof value === "string" && value.length > LONG ? "long" : undefined;
}

/** Concepts and items can be opened. */
function Cell({ column, value }: { column: string; value: unknown }) {
  const run = useRun();
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) {
    if (column === "concept" && value < run.width) {
      return (
        <button type="button" className="link" onClick={() => go({ params: { concept: value, item: null } })}>
          <ConceptName concept={value} label="open" />
        </button>
      );
    }
    if (column === "item" && value < run.items) {
      return (
        <button type="button" className="link" onClick={() => go({ params: { item: value } })}>
          <span className="number-of">{value}</span> open
        </button>
      );
    }
  }
  return <bdi>{words(value)}</bdi>;
}
