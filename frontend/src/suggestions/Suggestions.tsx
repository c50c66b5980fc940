import { Anchor } from "@mantine/core";
import { address, useRoute } from "../app/route";
import { useBenchmark, useFace, useRun } from "../app/state";
import { useTable, useThemes } from "../data/hooks";
import { text } from "../data/table";
import type { Suggestion } from "../data/types";
import { integer, plural } from "../format";
import { shorten, visible } from "../text";
import { Copied } from "../ui/Copied";
import { ConceptLink } from "../ui/Marks";
import { Empty } from "../ui/State";
import { shared } from "./shared";
import "./suggestions.css";

const KINDS: { kind: Suggestion["kind"]; title: string; face: "model" | "benchmark" | "both" }[] = [
  { kind: "robustness", title: "Before you rely on it", face: "both" },
  { kind: "weak", title: "Weak themes worth testing next", face: "model" },
  { kind: "missing", title: "What a benchmark leaves out of its own subject", face: "benchmark" },
  { kind: "unmeasured", title: "What no benchmark here asks", face: "benchmark" },
  { kind: "redundant", title: "Benchmarks that add little", face: "benchmark" },
  { kind: "label", title: "Names to check", face: "both" },
];
const SHOWN = 6;

/** What to do next: each with its reason and the command to run. */
export function Suggestions() {
  const run = useRun();
  const face = useFace();
  const benchmark = useBenchmark();
  const fits = (one: Suggestion) => benchmark === null || one.benchmark === null || one.benchmark === benchmark;
  const fitting = run.suggestions.filter(fits);
  const groups = KINDS.map((group) => ({ ...group, found: fitting.filter((one) => one.kind === group.kind) })).filter(
    (one) => one.found.length > 0,
  );
  const first = groups.filter((one) => one.face === face || one.face === "both");
  const order = [...first, ...groups.filter((one) => !first.includes(one))];
  return (
    <div className="suggestions">
      <h1>Suggestions</h1>
      <p className="lead">What this run says is worth doing next, why, and the command that does it.</p>
      {order.length === 0 && (
        <Empty>Nothing to suggest: no benchmark lacks concepts near its own subject, none is redundant, and no theme is weak.</Empty>
      )}
      {order.map((group) => (
        <Group key={group.kind} title={group.title} found={group.found} />
      ))}
    </div>
  );
}

function Group({ title, found }: { title: string; found: Suggestion[] }) {
  const { common, rest } = shared(found.map((one) => one.reason));
  return (
    <section>
      <h2>{title}</h2>
      {common && (
        <p className="soft" data-testid="suggestions-shared">
          {visible(common)}
        </p>
      )}
      {found.map((one, i) => (
        <Entry key={one.title} suggestion={one} reason={rest[i]!} />
      ))}
    </section>
  );
}

/** `reason`: what the heading of its group does not say. */
function Entry({ suggestion, reason }: { suggestion: Suggestion; reason: string }) {
  const run = useRun();
  const route = useRoute();
  const themes = useThemes(run);
  const theme = themes.data?.themes.find((one) => one.level === "theme" && one.id === suggestion.theme);
  return (
    <article className="suggestion" data-testid="suggestion">
      <h3>{visible(suggestion.title)}</h3>
      {reason && <p>{visible(reason)}</p>}
      {suggestion.concepts.length > 0 && <Concepts ids={suggestion.concepts} />}
      {theme && (
        <p>
          {/* The count is of the whole suite, or of the benchmark that the suggestion is about, whichever the page is set to. */}
          <Anchor href={address(route, { view: "concepts", params: { theme: theme.id, bench: suggestion.benchmark } })}>
            All {plural(theme.ranked, "ranked concept")} of {theme.name ? `“${shorten(visible(theme.name), 60)}”` : `theme ${theme.id}`}
          </Anchor>
        </p>
      )}
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
