import { Anchor } from "@mantine/core";
import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { text } from "../data/table";
import type { Suggestion } from "../data/types";
import { integer, plural } from "../format";
import { visible } from "../text";
import { Copied } from "../ui/Copied";
import { Heading } from "../ui/Heading";
import { ConceptLink } from "../ui/Marks";
import { Empty } from "../ui/State";
import "./suggestions.css";

const KINDS: Record<Suggestion["kind"], string> = {
  robustness: "Before you rely on it",
  weak: "A finding to test further",
  missing: "Missing from a benchmark’s scope",
  label: "Names to check",
  redundant: "A benchmark that adds little",
};
/** Suggestions that are open; the others are folded away. */
export const OPEN = 7;
const SHOWN = 6;

/** What to do next, what matters most first: each with its reason and the command to run. */
export function Suggestions() {
  const run = useRun();
  const benchmark = useBenchmark();
  const fitting = run.suggestions.filter(
    (suggestion) => benchmark === null || suggestion.benchmark === null || suggestion.benchmark === benchmark,
  );
  const [open, rest] = [fitting.slice(0, OPEN), fitting.slice(OPEN)];
  return (
    <div className="suggestions">
      <Heading within="for">Suggestions</Heading>
      <p className="lead">
        What to do next according to this run, the most important first, with the command for each.
      </p>
      {fitting.length === 0 && (
        <Empty>
          Nothing to suggest: no finding is weak, no benchmark lacks any of its stated scope, and none is redundant.
        </Empty>
      )}
      {open.map((suggestion) => (
        <Entry key={suggestion.title} suggestion={suggestion} />
      ))}
      {rest.length > 0 && (
        <details className="more-suggestions" data-testid="more-suggestions">
          <summary>{plural(rest.length, "more suggestion")}</summary>
          {rest.map((suggestion) => (
            <Entry key={suggestion.title} suggestion={suggestion} />
          ))}
        </details>
      )}
    </div>
  );
}

function Entry({ suggestion }: { suggestion: Suggestion }) {
  const route = useRoute();
  return (
    <article className="suggestion" data-testid="suggestion" data-kind={suggestion.kind}>
      <p className="suggestion-kind">{KINDS[suggestion.kind]}</p>
      <h2>{visible(suggestion.title)}</h2>
      <p>{visible(suggestion.reason)}</p>
      {suggestion.finding !== null && (
        <p>
          <Anchor href={address(route, { view: "finding", rest: suggestion.finding })}>
            See the finding and its items
          </Anchor>
        </p>
      )}
      {suggestion.finding === null && suggestion.concepts.length > 0 && <Concepts ids={suggestion.concepts} />}
      {suggestion.command && <Copied text={suggestion.command} />}
    </article>
  );
}

function Concepts({ ids }: { ids: number[] }) {
  const run = useRun();
  const table = useTable(run.key, "concepts.parquet");
  return (
    <ul className="chips">
      {ids.slice(0, SHOWN).map((id) => (
        <li key={id}>
          <ConceptLink concept={id} label={table.data ? text(table.data, "label", id) : null} limit={60} />
        </li>
      ))}
      {ids.length > SHOWN && <li className="soft">and {integer(ids.length - SHOWN)} more</li>}
    </ul>
  );
}
