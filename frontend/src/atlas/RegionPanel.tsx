import { useMemo } from "react";
import { address, go, useRoute } from "../app/route";
import { useNumberParam, useRun } from "../app/state";
import { useSlices } from "../data/hooks";
import { numbers, text } from "../data/table";
import type { ListedFinding, Region, SliceGap } from "../data/types";
import { decimal, gapPoints, integer, percent, plural, points, spread } from "../format";
import { shorten, visible } from "../text";
import { ItemLink } from "../ui/Marks";
import { Rows } from "../ui/Rows";
import { pathOf, rowsIn } from "./regions";
import type { AtlasData } from "./useAtlas";

interface RegionPanelProps {
  atlas: AtlasData;
  /** Whether outcomes are against peers. */
  peers: boolean;
  /** Of regions that are slices. */
  gaps: Map<number, SliceGap>;
  /** Those of which at least half of the items lie in a region. */
  findings: Map<number, ListedFinding[]>;
  outcome: ArrayLike<number> | null;
}

/** What is known of the chosen region, or of all: how much of the run is there, how the model does, and its parts. */
export function RegionPanel({ atlas, peers, gaps, findings, outcome }: RegionPanelProps) {
  const { regions } = useRun();
  const asked = useNumberParam("region");
  const chosen = asked === null ? null : (regions[asked] ?? null);
  const parts = regions.filter(({ parent, level }) => (chosen ? parent === chosen.region : level === 1));
  const { tally, benchmarks, shares } = atlas;
  const at = ({ region }: Region) => tally.of[region]!;
  const link = (region: Region | null, name: string) => (
    <button type="button" className="link" onClick={() => go({ params: { region: region?.region ?? null } })}>
      <bdi>{name}</bdi>
    </button>
  );
  return (
    <section className="region-panel" aria-label="Region" data-testid="region-panel">
      {chosen && (
        <>
          <p className="eyebrow">
            {link(null, "All regions")}
            {pathOf(regions, chosen.parent).map((ancestor) => (
              <span key={ancestor.region}> › {link(ancestor, visible(ancestor.name))}</span>
            ))}
          </p>
          <h2 data-testid="region-name">
            <bdi>{visible(chosen.name)}</bdi>
          </h2>
          {chosen.kind !== "written" && (
            <p className="soft">
              {chosen.kind === "words"
                ? "Named by the words of its items."
                : "Unclear: the name alone does not tell this region from its neighbours."}
            </p>
          )}
          <Sentence region={chosen} atlas={atlas} peers={peers} gaps={gaps} findings={findings} />
        </>
      )}
      {parts.length > 0 && (
        <Rows
          label={chosen ? "Regions inside it" : "Coarse regions"}
          testId="region-parts"
          rows={parts.toSorted((a, b) => at(b) - at(a))}
          columns={[
            { name: chosen ? "part" : "region", cell: (region) => link(region, visible(region.name)) },
            { name: "items", cell: (region) => integer(at(region)) },
            { name: "share", cell: (region) => percent(shares[region.region]!.share) },
            {
              name: "public",
              hint: `Mean share of ${plural(benchmarks, "public benchmark")}`,
              cell: benchmarks ? ({ region }) => percent(shares[region]!.public) : null,
            },
            {
              name: "gap",
              hint: "Expected on new items, in points",
              cell: gaps.size ? ({ region }) => (gaps.get(region) ? gapPoints(gaps.get(region)!.gap) : "") : null,
            },
          ]}
        />
      )}
      {chosen && <RegionItems region={chosen} atlas={atlas} outcome={outcome} peers={peers} />}
    </section>
  );
}

type PartProps<Key extends keyof RegionPanelProps> = Pick<RegionPanelProps, "atlas" | "peers" | Key> & {
  region: Region;
};

/** How much is there, how the model does there, and which lines of its list lie there. */
function Sentence({ region: { region }, atlas, peers, gaps, findings }: PartProps<"gaps" | "findings">) {
  const route = useRoute();
  const gap = gaps.get(region);
  const { items, share, low, high, near, public: usual } = atlas.shares[region]!;
  const findingsHere = findings.get(region) ?? [];
  return (
    <>
      <p data-testid="region-sentence">
        {items > 0 ? (
          <>
            <strong>{percent(share, 1)}</strong> of the items are here ({percent(low, 1)} to {percent(high, 1)};{" "}
            {plural(items, "item")})
          </>
        ) : (
          <strong>None of the items are here</strong>
        )}
        {atlas.benchmarks > 0 && (
          <>
            , against {percent(usual, 1)} in the mean of {plural(atlas.benchmarks, "public benchmark")} and{" "}
            {percent(near, 1)} in the most similar ones
          </>
        )}
        .
      </p>
      {gap && gap.gap !== null && (
        <p>
          {gapPoints(gap.gap)} points expected on new items ({spread(gap.low, gap.high)}){peers && " against its peers"}
          ; mean score {percent(gap.mean)}.
        </p>
      )}
      {findingsHere.length > 0 && <p>Lines of the answer with at least half of their items here:</p>}
      <ol className="region-items" data-testid="region-findings">
        {findingsHere.map(({ slice, name, points, spread, size, gap }) => (
          <li key={slice}>
            <b className={gap < 0 ? "weak-text" : "strong-text"}>{points}</b>
            <span>
              <a href={address(route, { view: "slice", slice })}>
                <bdi>{visible(name)}</bdi>
              </a>{" "}
              <span className="soft">
                {spread}; {size}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}

const SHOWN = 8;

/** Where to go on: its items and concepts, and some items, those with the lowest outcomes first. */
function RegionItems({ region, atlas, outcome, peers }: PartProps<"outcome">) {
  const run = useRun();
  const route = useRoute();
  const slices = useSlices(outcome && run.key).data;
  const slice = [...(slices?.values() ?? [])].find(({ family, name }) => family === "regions" && name === region.name);
  const rows = useMemo(() => {
    const { locations, inBenchmark, items } = atlas;
    const likeness = numbers(locations, "likeness");
    const value = (row: number) => (Number.isNaN(outcome?.[row] ?? NaN) ? Infinity : outcome![row]!);
    const seen = new Set<number>();
    const clusters = numbers(items, "cluster");
    return rowsIn(run.regions, region.region, locations)
      .filter(inBenchmark)
      .sort((a, b) => Number(value(a) > value(b)) - Number(value(a) < value(b)) || likeness[b]! - likeness[a]!)
      .filter((row) => Number.isNaN(clusters[row]!) || (!seen.has(clusters[row]!) && seen.add(clusters[row]!)))
      .slice(0, SHOWN);
  }, [run, region, atlas, outcome]);
  return (
    <>
      <p className="actions">
        {rows.length > 0 && (
          <a href={address(route, { view: "items", params: { region: region.region } })}>
            All {plural(atlas.tally.of[region.region]!, "item")}
          </a>
        )}
        {slice && <a href={address(route, { view: "slice", slice: slice.number })}>How the model does here</a>}
        {region.concepts > 0 && (
          <a href={address(route, { view: "concepts", params: { region: region.region } })}>
            Its {plural(region.concepts, "concept")}
          </a>
        )}
      </p>
      {rows.length > 0 && (
        <>
          <h3>
            {!outcome
              ? "Its most typical items"
              : peers
                ? "Items, with the score minus its peers’, in points"
                : "Items, with the score"}
          </h3>
          <ol className="region-items" data-testid="region-items">
            {rows.map((row) => (
              <li key={row}>
                {outcome && (
                  <span className="number-of">{peers ? points(outcome[row]!, 0) : decimal(outcome[row]!, 1)}</span>
                )}
                <ItemLink row={row}>
                  <bdi>{shorten(visible(text(atlas.items, "excerpt", row) ?? `item ${row}`), 110)}</bdi>
                </ItemLink>
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}
