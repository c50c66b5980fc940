import { Alert, Loader } from "@mantine/core";
import { plural } from "../format";
import { visible } from "../text";
import { Answer } from "./Answer";
import { Query } from "./Query";
import type { Turn } from "./turn";

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
            ? `Reading the results of ${plural(queries.length, "query").replace("querys", "queries")}`
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
