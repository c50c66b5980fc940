import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { useCoverage } from "../data/hooks";
import type { Covered, Coverage as Found, RegionCoverage } from "../data/types";
import { integer, percent, plural } from "../format";
import { visible } from "../text";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import "./coverage.css";

/** What the benchmarks are about and leave out: in words, by region, then the concepts. */
export function Coverage() {
  const run = useRun();
  const place = useBenchmark();
  const { data: found, error } = useCoverage(run, place);
  if (error) return <Failed error={error} />;
  if (!found) return <Loading what="what the benchmarks leave out" />;
  const [headline, ...rest] = found.words;
  return (
    <div className="coverage" data-testid="coverage">
      <h1 className="headline" data-testid="coverage-headline">
        <bdi>{visible(headline ?? "")}</bdi>
      </h1>
      {rest.map((sentence) => (
        <p key={sentence}>
          <bdi>{visible(sentence)}</bdi>
        </p>
      ))}
      <Notes found={found} />
      {found.regions.length > 0 ? (
        <section aria-label="Regions of the atlas">
          <h2>Where its items are</h2>
          <p className="soft">
            Share of the items in each region of the atlas, with its interval of 95%; line: the mean share of{" "}
            {plural(found.public, "benchmark")} of the map.
          </p>
          <ol className="region-gaps" data-testid="region-gaps">
            <Lines of={found.regions.filter(({ level }) => level === 1)} all={found.regions} />
          </ol>
        </section>
      ) : (
        <div data-testid="region-gaps">
          <Lacking part={found.all} region={null} />
        </div>
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
function Notes({ found: { counted, left_out, width, reference } }: { found: Found }) {
  const left = left_out.map(([kind, count]) => `${integer(count)} ${kind}`).join(", ");
  return (
    <p className="soft">
      {reference && "Thin: a quarter or less of its part of ordinary text. "}
      Counted: {COUNTED[counted]}. Left out of {integer(width)}: {visible(left) || "none"}.
    </p>
  );
}

/** Regions with a bar each, the largest first; opened, one shows the finer ones and the concepts that it lacks. */
function Lines({ of, all }: { of: RegionCoverage[]; all: RegionCoverage[] }) {
  const route = useRoute();
  const most = Math.max(...of.flatMap((part) => [part.share, part.public]));
  return of
    .toSorted((a, b) => b.share - a.share)
    .map((part) => {
      const inside = all.filter(({ parent, level }) => parent === part.region && level < 3);
      return (
        <li key={part.region}>
          <details>
            <summary>
              <span>
                <bdi>{visible(part.name)}</bdi>: {part.items ? percent(part.share, 1) : "none"}
                {part.status && ` ${part.status}`}
                <span className="soft">
                  {` ${percent(part.low, 1)} to ${percent(part.high, 1)}; mean ${percent(part.public, 1)}`}
                  {part.text !== null && `, text ${percent(part.text, 1)}`}
                </span>
              </span>
              <span className="share-bar" aria-hidden="true">
                <span
                  className={part.status === "thin" ? "" : "ample"}
                  style={{ width: `${(100 * part.share) / most}%` }}
                />
                <span className="usual" style={{ left: `${(100 * part.public) / most}%` }} />
              </span>
            </summary>
            <p>
              <a href={address(route, { view: "atlas", params: { region: part.region } })}>On the atlas</a>
            </p>
            <Lacking part={part} region={part.region} />
            {inside.length > 0 && (
              <ol className="region-gaps">
                <Lines of={inside} all={all} />
              </ol>
            )}
          </details>
        </li>
      );
    });
}

const lackWords = ({ concepts, missing, thin }: Covered) =>
  `${integer(missing || thin)} of ${plural(concepts, "concept")} ` +
  `${missing === 0 && thin > 0 ? "thin" : "in no item"}${missing > 0 && thin > 0 ? `, ${integer(thin)} thin` : ""}`;

function Lacking({ part, region }: { part: Covered; region: number | null }) {
  const { missing, thin, by_chance, lacking } = part;
  const route = useRoute();
  const params = { region, coverage: "missing,under", face: "benchmark" };
  return (
    <>
      <p className="soft">
        {region !== null && `${lackWords(part)}. `}
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
      {region !== null && missing + thin > lacking.length && (
        <p>
          <a href={address(route, { view: "concepts", params })}>
            All {integer(missing + thin)} in the table of concepts
          </a>
        </p>
      )}
    </>
  );
}
