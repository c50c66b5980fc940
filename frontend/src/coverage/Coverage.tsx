import { address, useRoute } from "../app/route";
import { useBenchmark, useRun } from "../app/state";
import { useCoverage } from "../data/hooks";
import type { Covered, RegionCoverage, WordedCoverage } from "../data/types";
import { integer, percent, plural } from "../format";
import { visible } from "../text";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed, Loading } from "../ui/State";
import "./coverage.css";

/** What the benchmarks miss and what they are about: in sentences, by region, by concept. */
export function Coverage() {
  const run = useRun();
  const benchmark = useBenchmark();
  const { data: coverage, error } = useCoverage(run, benchmark);
  if (error) return <Failed error={error} />;
  if (!coverage) return <Loading name="what the benchmarks leave out" />;
  // Without an atlas there is no answer, only a count of concepts.
  const [headline, ...sentences] = [...coverage.answer, ...coverage.words];
  return (
    <div className="coverage" data-testid="coverage">
      <h1 className="headline" data-testid="coverage-headline">
        <bdi>{visible(headline ?? "")}</bdi>
      </h1>
      {sentences.map((sentence) => (
        <p key={sentence}>
          <bdi>{visible(sentence)}</bdi>
        </p>
      ))}
      {coverage.regions.length > 0 && (
        <section aria-label="Regions of the atlas">
          <h2>Where its items are</h2>
          <p className="soft">
            Share of the items in each region of the atlas, with its 95% interval; the line marks the mean of{" "}
            {plural(coverage.public, "public benchmark")}. Regions that lack most come first.
          </p>
          <ol className="region-gaps" data-testid="region-gaps">
            <RegionLines parent={null} regions={coverage.regions} />
          </ol>
        </section>
      )}
      <h2>Concepts</h2>
      <Notes coverage={coverage} />
      <Lacking part={coverage.all} region={null} />
    </div>
  );
}

const COUNTED: Record<WordedCoverage["counted"], string> = {
  labelled: "concepts that stand for a topic and have a written label",
  automatic: "concepts that stand for a topic, labelled with words of their texts",
  unlabelled: "concepts that stand for a topic (this run has no labels)",
};

/** Which concepts were counted. */
function Notes({ coverage: { counted, left_out, width, reference } }: { coverage: WordedCoverage }) {
  const left = left_out.map(([kind, count]) => `${integer(count)} ${kind}`).join(", ");
  return (
    <p className="soft">
      {reference && "Thin: at most a quarter of its share in ordinary text. "}
      Counted: {COUNTED[counted]}. Left out, of {integer(width)}: {visible(left) || "none"}.
    </p>
  );
}

/** The children of a region; each expands to its own children and missing concepts. */
function RegionLines({ parent, regions }: { parent: number | null; regions: RegionCoverage[] }) {
  const route = useRoute();
  const children = regions.filter((region) => region.parent === parent);
  const most = Math.max(...children.flatMap(({ share, public: usual }) => [share, usual]));
  const percentOf = (share: number) => `${(100 * share) / most}%`;
  return children
    .sort((a, b) => b.public - b.share - (a.public - a.share))
    .map(({ region, name, level, share, low, high, status, public: usual, text, ...part }) => (
      <li key={region}>
        <details>
          <summary>
            <span>
              <bdi>{visible(name)}</bdi>: {share ? percent(share, 1) : "none"}{" "}
              <span className="soft">
                ({percent(low, 1)} to {percent(high, 1)}; public {percent(usual, 1)}
                {text !== null && `, ordinary text ${percent(text, 1)}`})
              </span>{" "}
              {status && <span className={status === "crowded" ? "badge" : "badge weak-text"}>{status}</span>}
            </span>
            <span className="share-bar" aria-hidden="true">
              <span className={status && status !== "crowded" ? "" : "ample"} style={{ width: percentOf(share) }} />
              <span className="usual" style={{ left: percentOf(usual) }} />
            </span>
          </summary>
          <p>
            <a href={address(route, { view: "atlas", params: { region } })}>See it in the atlas</a>
          </p>
          {level < 3 && (
            <ol className="region-gaps">
              <RegionLines parent={region} regions={regions} />
            </ol>
          )}
          {part.concepts > 0 && <Lacking part={part} region={region} />}
        </details>
      </li>
    ));
}

/** The number of missing and thin concepts, of a region or of all, and a list of some. */
function Lacking({ part, region }: { part: Covered; region: number | null }) {
  const { concepts, missing, thin, by_chance, lacking } = part;
  const route = useRoute();
  const params = { region, coverage: "missing,under", face: "benchmark" };
  return (
    <>
      <p>
        {integer(missing)} of {plural(concepts, "concept")} missing{thin > 0 && `, ${integer(thin)} thin`}.
        {by_chance !== null &&
          ` As much ordinary text would miss ${by_chance < 1 ? "fewer than 1" : `about ${integer(by_chance)}`}.`}
      </p>
      <ul className="evidence">
        {lacking.map(({ concept, label, status, chance_seen }) => (
          <li key={concept}>
            <ConceptLink concept={concept} label={label} />
            <Status status={status === "thin" ? "under" : status} />
            <span className="soft">
              {chance_seen !== null && status === "missing" && `${percent(chance_seen)} likely in ordinary text`}
            </span>
          </li>
        ))}
      </ul>
      {missing + thin > lacking.length && (
        <p>
          <a href={address(route, { view: "concepts", params })}>All {integer(missing + thin)} in the concept table</a>
        </p>
      )}
    </>
  );
}
