import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { type Atlas, useAtlas } from "../atlas/useAtlas";
import { useCoverage } from "../data/hooks";
import type { Covered, Coverage as Found, Region } from "../data/types";
import { integer, percent, plural } from "../format";
import { shorten, visible } from "../text";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import "./coverage.css";

/** What the benchmarks leave out: in words by region, then the concepts. */
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
          <ol className="region-gaps" data-testid="scope">
            <Part part={scope!} />
          </ol>
        </section>
      ))}
      {run.has.regions ? (
        <Regions covered={found.regions} />
      ) : (
        <ol className="region-gaps" data-testid="region-gaps">
          <Part part={found.all} />
        </ol>
      )}
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

/** How the items spread over the regions beside the public benchmarks: those first where most is lacking. */
function Regions({ covered }: { covered: Covered[] }) {
  const { regions } = useRun();
  const { atlas, error } = useAtlas(null);
  if (error) return <Failed error={error} />;
  if (!atlas) return <Loading what="the atlas" />;
  const { tally, known } = atlas;
  return (
    <section aria-label="Regions of the atlas">
      <h2>Where its items are</h2>
      <p className="soft">
        Share of the items in each region of the atlas
        {known.benchmarks > 0 && `; line: the mean share of ${plural(known.benchmarks, "public benchmark")}`}. Those
        come first where most is lacking.
        {tally.unlike > 0 &&
          ` ${percent(tally.unlike / tally.items, 1)} of the items are unlike anything on the atlas.`}
      </p>
      <ol className="region-gaps" data-testid="region-gaps">
        <Lines of={regions.filter(({ level }) => level === 1)} atlas={atlas} covered={covered} />
      </ol>
    </section>
  );
}

function Lines({ of, atlas, covered }: { of: Region[]; atlas: Atlas; covered: Covered[] }) {
  const { tally, known } = atlas;
  const run = useRun();
  const route = useRoute();
  const own = ({ region }: Region) => tally.of[region]!.items / Math.max(1, tally.items);
  const usual = ({ region }: Region) => known.of[region]?.mean ?? 0;
  const most = Math.max(...of.flatMap((region) => [own(region), usual(region)]));
  const lack = (region: Region) => usual(region) - own(region);
  return of
    .toSorted((a, b) => lack(b) - lack(a))
    .map((region) => {
      const inside = run.regions.filter(({ parent, level }) => parent === region.region && level < 3);
      const part = covered.find(({ number }) => number === region.region);
      return (
        <li key={region.region}>
          <details>
            <summary>
              <span>
                <bdi>{visible(region.name)}</bdi>: {own(region) ? percent(own(region), 1) : "none"}
                {known.benchmarks > 0 && <span className="soft"> (public {percent(usual(region), 1)})</span>}
              </span>
              <span className="share-bar" aria-hidden="true">
                <span
                  className={own(region) < usual(region) / 2 ? "" : "ample"}
                  style={{ width: `${(100 * own(region)) / most}%` }}
                />
                <span className="usual" style={{ left: `${(100 * usual(region)) / most}%` }} />
              </span>
            </summary>
            <p>
              <a href={address(route, { view: "atlas", params: { region: region.region } })}>On the atlas</a>
            </p>
            {part && <Lacking part={part} />}
            {inside.length > 0 && (
              <ol className="region-gaps">
                <Lines of={inside} atlas={atlas} covered={covered} />
              </ol>
            )}
          </details>
        </li>
      );
    });
}

/** A stated scope, or all, in words; opened, it lists the concepts. */
function Part({ part }: { part: Covered }) {
  const { name, concepts, missing, thin } = part;
  const width = (count: number) => ({ width: `${(100 * count) / Math.max(1, concepts)}%` });
  return (
    <li>
      <details>
        <summary>
          <span>
            <bdi>{visible(name)}</bdi>: {lackWords(part)}
          </span>
          <span className="share-bar" aria-hidden="true">
            <span style={width(missing)} />
            <span className="thin" style={width(thin)} />
          </span>
        </summary>
        <Lacking part={part} />
      </details>
    </li>
  );
}

const lackWords = ({ concepts, missing, thin }: Covered) =>
  `${integer(missing || thin)} of ${plural(concepts, "concept")} ` +
  `${missing === 0 && thin > 0 ? "thin" : "in no item"}${missing > 0 && thin > 0 ? `, ${integer(thin)} thin` : ""}`;

function Lacking({ part }: { part: Covered }) {
  const { number, missing, thin, by_chance, lacking } = part;
  const route = useRoute();
  const params = { region: number, coverage: "missing,under", face: "benchmark" };
  return (
    <>
      <p className="soft">
        {number !== null && `${lackWords(part)}. `}
        {by_chance !== null &&
          `As much ordinary text would lack ${by_chance < 1 ? "fewer than 1" : `about ${integer(by_chance)}`}.`}
      </p>
      <ul className="evidence">
        {lacking.map(({ concept, label, status, chance_seen }) => (
          <li key={concept}>
            <ConceptLink concept={concept} label={label} />
            <Status status={status === "thin" ? "under" : status} />
            <span className="soft">
              {chance_seen !== null && status === "missing" && `as much ordinary text: ${percent(chance_seen)} likely`}
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
    </>
  );
}
