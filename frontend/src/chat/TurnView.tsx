import { Alert, Loader, Tooltip } from "@mantine/core";
import type { AnswerEvent } from "../data/types";
import { integer, plural } from "../format";
import { visible } from "../text";
import { anchorOf, Query } from "./Query";
import { type Piece, piecesOf, type Turn } from "./turn";

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
          <Loader size="xs" type="dots" />{" "}
          {queries.length
            ? `Reading the results of ${plural(queries.length, "query", "queries")}`
            : "Choosing what to look up"}{" "}
          …
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
          This answer was cut off at the model’s token limit: the rest is missing, and its last word or number may be
          incomplete.
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
  if (piece.query === undefined) return <>{text}</>;
  if (piece.query === null) {
    return (
      <Tooltip
        label="No query gave this number: it is not from the run."
        events={{ hover: true, focus: true, touch: true }}
      >
        <span
          className="untraced"
          tabIndex={0}
          role="note"
          aria-label={`${text}, not from the run`}
          data-testid="chat-untraced"
        >
          {text}
        </span>
      </Tooltip>
    );
  }
  const query = piece.query;
  return (
    <button
      type="button"
      className="traced"
      data-query={query}
      aria-label={`${text}, from query ${query}`}
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
  element.querySelector("summary")?.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

function traced(pieces: Piece[], asked: number): string {
  const numbers = pieces.filter((piece) => piece.query !== undefined);
  const unknown = numbers.filter((piece) => piece.query === null).length;
  if (asked === 0) return "No query was made for this answer: nothing in it comes from the run.";
  if (numbers.length === 0) return "The answer has no numbers.";
  if (unknown === 0) {
    const all = numbers.length === 1 ? "Its one number stands" : `All ${numbers.length} numbers stand`;
    return `${all} in the results of the queries below. Whether they are combined correctly is for you to judge.`;
  }
  const underlined = `${integer(unknown)} of ${plural(numbers.length, "number")} (underlined)`;
  return `${underlined} ${unknown === 1 ? "is" : "are"} in no result, and so not from the run.`;
}
