import { Alert, Loader, Tooltip } from "@mantine/core";
import type { AnswerEvent, QueryEvent } from "../data/types";
import { integer, plural } from "../format";
import { visible } from "../text";
import { type Piece, piecesOf, type Turn } from "./conversation";

/** A question, its answer, and the queries between them. */
export function TurnView({ turn, running }: { turn: Turn; running: boolean }) {
  const { queries, answer, error } = turn;
  return (
    <article className="chat-turn" data-testid="chat-turn">
      <h2 className="chat-question">
        <bdi>{visible(turn.question)}</bdi>
      </h2>
      {running && (
        <p className="chat-wait soft" role="status">
          <Loader size="xs" type="dots" /> {plural(queries.length, "query", "queries")} so far …
        </p>
      )}
      {answer && <Answer turn={turn.id} answer={answer} asked={queries.length} />}
      {error && (
        <Alert color="orange" data-testid="chat-error" title="No answer">
          {visible(error)}
        </Alert>
      )}
      {queries.length > 0 && (
        <section className="chat-queries" aria-label="Queries of this answer">
          {queries.map((event) => (
            <Query key={event.id} turn={turn.id} event={event} />
          ))}
        </section>
      )}
    </article>
  );
}

const anchorOf = (turn: number, query: number) => `query-${turn}-${query}`;

/** A query that the model asked, with what came back. */
function Query({ turn, event }: { turn: number; event: QueryEvent }) {
  return (
    <details className="chat-query" id={anchorOf(turn, event.id)} data-testid="chat-query">
      <summary>
        <span className="chat-query-id">{event.id}</span> <code>{visible(event.name)}</code>{" "}
        <span className="soft">{visible(JSON.stringify(event.arguments))}</span>
      </summary>
      <pre className="chat-result">{visible(JSON.stringify(event.result, null, 1))}</pre>
    </details>
  );
}

/** An answer: each number leads to the query that it comes from, or is marked as coming from none. */
function Answer({ turn, answer, asked }: { turn: number; answer: AnswerEvent; asked: number }) {
  const pieces = piecesOf(answer);
  return (
    <>
      <div className="chat-answer" data-testid="chat-answer">
        {pieces.map((piece, i) => (
          <PieceText key={i} turn={turn} piece={piece} />
        ))}
      </div>
      {answer.cut && (
        <p className="chat-cut" data-testid="chat-cut">
          This answer was cut off at the model’s token limit: the rest is missing.
        </p>
      )}
      <p className="chat-trace soft" data-testid="chat-trace">
        {traced(pieces, asked)}
      </p>
    </>
  );
}

function PieceText({ turn, piece }: { turn: number; piece: Piece }) {
  const text = visible(piece.text);
  const query = piece.query;
  if (query === undefined) return text;
  if (query === null) {
    const label = "No query returned this number: it is not from the run.";
    return (
      <Tooltip label={label} events={{ hover: true, focus: true, touch: true }}>
        <span className="untraced" tabIndex={0} role="note" data-testid="chat-untraced">
          {text}
        </span>
      </Tooltip>
    );
  }
  const label = `${text}, from query ${query}`;
  return (
    <button
      type="button"
      className="traced"
      data-query={query}
      aria-label={label}
      data-testid="chat-traced"
      onClick={() => reveal(anchorOf(turn, query))}
    >
      {text}
    </button>
  );
}

/** Opens a query and shows it. */
function reveal(anchor: string): void {
  const element = document.getElementById(anchor);
  if (!(element instanceof HTMLDetailsElement)) return;
  element.open = true;
  element.scrollIntoView({ block: "nearest" });
}

function traced(pieces: Piece[], asked: number): string {
  const numbers = pieces.filter((piece) => piece.query !== undefined);
  const unknown = numbers.filter((piece) => piece.query === null).length;
  if (asked === 0) return "The model made no query, so nothing in this answer comes from the run.";
  if (unknown === 0)
    return "Every number appears in the results below. Check for yourself whether they are combined correctly.";
  const some = `${integer(unknown)} of ${plural(numbers.length, "number")}`;
  return `${some} (underlined) appear in no result, so they are not from the run.`;
}
