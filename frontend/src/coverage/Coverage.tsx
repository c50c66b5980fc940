import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { useCoverage } from "../data/hooks";
import type { Covered, Coverage as Found } from "../data/types";
import { integer, percent, plural } from "../format";
import { shorten, visible } from "../text";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import { Distributions, MissingShares } from "./Charts";
import "./coverage.css";

/** What the benchmarks leave out: in words by theme, then the concepts. */
export function Coverage() {
  const run = useRun();
  const place = useBenchmark();
  const { data: found, error } = useCoverage(run, place);
  if (error) return <Failed error={error} />;
  if (!found) return <Loading what="what the benchmarks leave out" />;
  const scopes = found.benchmarks.filter(({ scope }) => scope?.concepts);
  const be = found.all.missing === 1 ? "is" : "are";
  return (
    <div className="coverage" data-testid="coverage">
      <h1 className="headline" data-testid="coverage-headline">
        {integer(found.all.missing)} of {plural(found.all.concepts, "concept")} {be} in none of{" "}
        {plural(found.items, "item")}
        {found.reference && `, and ${integer(found.all.thin)} are thin`}
      </h1>
      <Notes found={found} />
      {scopes.map(({ scope, description }) => (
        <section key={scope!.name} aria-label={`Stated scope of ${scope!.name}`}>
          <h2>
            What <bdi>{visible(scope!.name)}</bdi> says it tests
          </h2>
          <p className="soft">
            <bdi>{visible(shorten(description ?? "", 400))}</bdi>
          </p>
          <ol className="theme-gaps" data-testid="scope">
            <Part part={scope!} />
          </ol>
        </section>
      ))}
      {found.themes.length > 0 ? (
        <section aria-label="Themes that lack most">
          <h2>Themes that lack most</h2>
          <ol className="theme-gaps" data-testid="theme-gaps">
            {found.themes.map((theme) => (
              <Part key={theme.number} part={theme} />
            ))}
          </ol>
        </section>
      ) : (
        <ol className="theme-gaps" data-testid="theme-gaps">
          <Part part={found.all} />
        </ol>
      )}
      <MissingShares />
      <Distributions place={place} />
    </div>
  );
}

const COUNTED: Record<Found["counted"], string> = {
  labelled: "concepts that stand for a topic and whose label somebody wrote",
  automatic: "concepts that stand for a topic, named by words of their texts",
  unlabelled: "concepts that stand for a topic; this run has no labels",
};

/** What was counted, and what it is beside ordinary text. */
function Notes({ found: { all, counted, left_out, width, reference } }: { found: Found }) {
  const left = left_out.map(([kind, count]) => `${integer(count)} ${kind}`).join(", ");
  return (
    <p className="soft">
      {all.by_chance !== null &&
        `As much ordinary text would lack ${all.by_chance < 1 ? "fewer than 1" : `about ${integer(all.by_chance)}`}. `}
      {reference && "Thin: a quarter or less of its part of ordinary text. "}
      Counted: {COUNTED[counted]}. Left out of {integer(width)}: {visible(left) || "none"}.
    </p>
  );
}

/** A theme (or a stated scope) in words; opened, it lists the concepts. */
function Part({ part: { name, number, concepts, missing, thin, by_chance, lacking } }: { part: Covered }) {
  const route = useRoute();
  const params = { theme: number, coverage: "missing,under", face: "benchmark" };
  return (
    <li>
      <details>
        <summary>
          <span>
            <bdi>{visible(name)}</bdi>: {integer(missing || thin)} of {plural(concepts, "concept")}{" "}
            {missing === 0 && thin > 0 ? "thin" : "in no item"}
            {missing > 0 && thin > 0 && `, ${integer(thin)} thin`}
          </span>
          <span className="share-bar" aria-hidden="true">
            <span style={{ width: `${(100 * missing) / Math.max(1, concepts)}%` }} />
            <span className="thin" style={{ width: `${(100 * thin) / Math.max(1, concepts)}%` }} />
          </span>
        </summary>
        {by_chance !== null && (
          <p className="soft">
            Of as much ordinary text {by_chance < 1 ? "fewer than 1" : `about ${integer(by_chance)}`} would be missing.
          </p>
        )}
        <ul className="evidence">
          {lacking.map(({ concept, label, status, chance_seen }) => (
            <li key={concept}>
              <ConceptLink concept={concept} label={label} />
              <Status status={status === "thin" ? "under" : status} />
              <span className="soft">
                {chance_seen !== null &&
                  status === "missing" &&
                  `as much ordinary text: ${percent(chance_seen)} likely`}
              </span>
            </li>
          ))}
        </ul>
        {number !== null && missing + thin > lacking.length && (
          <p>
            <a href={address(route, { view: "concepts", params })}>
              All {integer(missing + thin)} in the table of concepts
            </a>
          </p>
        )}
      </details>
    </li>
  );
}
