import { useMemo } from "react";
import { address, go, useRoute } from "../app/route";
import { useModel, useNumberParam, useRun } from "../app/state";
import { useSlices } from "../data/hooks";
import { numbers, text } from "../data/table";
import type { ListedAnswer, Region } from "../data/types";
import { integer, percent, plural, points, signed } from "../format";
import { capital, shorten, visible } from "../text";
import { Rows } from "../ui/Rows";
import { foundIn, liesIn, pathOf } from "./regions";
import type { Atlas } from "./useAtlas";

interface RegionPanelProps {
  atlas: Atlas;
  answer: ListedAnswer | null;
  outcome: ArrayLike<number> | null;
}

/** What is known of the chosen region, or of all: how much of the run is there, how the model does, and its parts. */
export function RegionPanel({ atlas, answer, outcome }: RegionPanelProps) {
  const { regions } = useRun();
  const asked = useNumberParam("region");
  const chosen = asked === null ? null : (regions[asked] ?? null);
  const parts = regions.filter(({ parent, level }) => (chosen ? parent === chosen.region : level === 1));
  const { tally, known } = atlas;
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
            {pathOf(regions, chosen.parent).map((held) => (
              <span key={held.region}> › {link(held, visible(held.name))}</span>
            ))}
          </p>
          <h2 data-testid="region-name">
            <bdi>{visible(chosen.name)}</bdi>
          </h2>
          {chosen.kind !== "written" && (
            <p className="soft">
              {chosen.kind === "words"
                ? "Named by words of what lies in it."
                : "Readers could not tell this name from those beside it."}
            </p>
          )}
          <Sentence region={chosen} atlas={atlas} answer={answer} />
        </>
      )}
      {parts.length > 0 && (
        <Rows
          label={chosen ? "Regions inside of it" : "Coarse regions"}
          testId="region-parts"
          rows={parts.toSorted((a, b) => at(b).items - at(a).items)}
          columns={[
            { name: chosen ? "part" : "region", cell: (region) => link(region, visible(region.name)) },
            { name: "items", cell: (region) => integer(at(region).items) },
            { name: "share", cell: (region) => percent(at(region).items / tally.items) },
            {
              name: "public",
              hint: `Median share of ${plural(known.benchmarks, "public benchmark")}`,
              cell: known.benchmarks ? ({ region }) => percent(known.of[region]!.median) : null,
            },
            {
              name: "points",
              hint: "Outcome on its items less that on the others, in points of 100; nothing is held equal or tested",
              cell: outcome ? (region) => points(at(region).mean - at(region).elsewhere) : null,
            },
          ]}
        />
      )}
      {chosen && <Inside region={chosen} atlas={atlas} outcome={outcome} peers={answer?.kind === "peers"} />}
    </section>
  );
}

function Sentence({ region: { region, name }, atlas, answer }: Omit<RegionPanelProps, "outcome"> & { region: Region }) {
  const run = useRun();
  const route = useRoute();
  const place = useModel();
  const { tally, known } = atlas;
  const { items, scored, mean, elsewhere } = tally.of[region]!;
  const usual = known.of[region];
  const found = foundIn(answer, name);
  const peers = answer?.kind === "peers";
  const write = (value: number) => (peers ? `${points(value)} points` : percent(value));
  return (
    <>
      <p data-testid="region-sentence">
        {items > 0 ? (
          <>
            <strong>{percent(items / tally.items, 1)}</strong> of the items are here ({integer(items)} of{" "}
            {integer(tally.items)})
          </>
        ) : (
          <strong>None of the items are here</strong>
        )}
        {usual && usual.mean > 0 && (
          <>
            ; half of {plural(known.benchmarks, "public benchmark")} have {percent(usual.median, 1)} or less, and{" "}
            <bdi>{visible(usual.most[0])}</bdi> has most ({percent(usual.most[1])})
          </>
        )}
        .
      </p>
      {found && (
        <p data-testid="region-found">
          <a href={address(route, { view: "slice", rest: found.slice })}>In the list</a> of{" "}
          <bdi>{visible(run.models[place ?? -1] ?? "the model")}</bdi>:{" "}
          <strong className={found.gap < 0 ? "points weak" : "points strong"}>{found.points}</strong> points expected on
          new items ({found.spread}), {found.size}. {capital(visible(found.again))}.
        </p>
      )}
      {scored > 0 && (
        <p className={found ? "soft" : undefined}>
          {peers ? "Mean score less that of its peers" : "Mean score"}: {write(mean)} here
          {!Number.isNaN(elsewhere) && `, ${write(elsewhere)} elsewhere`}
          {!found && answer && ". Not in its list, so this may be chance"}.
        </p>
      )}
    </>
  );
}

const SHOWN = 8;

interface InsideProps extends Omit<RegionPanelProps, "answer"> {
  region: Region;
  /** Whether outcomes are against peers. */
  peers: boolean;
}

/** Where to go on: its slice, its concepts, and items, those with the lowest outcomes first. */
function Inside({ region, atlas, outcome, peers }: InsideProps) {
  const run = useRun();
  const route = useRoute();
  const slices = useSlices(run.models.length ? run.key : null);
  const slice = [...(slices.data?.values() ?? [])].find(
    ({ family, name }) => family === "regions" && name === region.name,
  );
  const rows = useMemo(() => {
    const { places, kept, items } = atlas;
    const [finest, likeness, unlike] = ["region", "likeness", "unlike"].map((key) => numbers(places, key));
    const inside = liesIn(run.regions, region.region);
    const value = (row: number) => outcome?.[row] ?? NaN;
    const seen = new Set<number>();
    const clusters = numbers(items, "cluster");
    return [...finest!.keys()]
      .filter((row) => inside(finest![row]!) && unlike![row] !== 1 && kept(row))
      .sort((a, b) => value(a) - value(b) || likeness![b]! - likeness![a]!)
      .filter((row) => Number.isNaN(clusters[row]!) || (!seen.has(clusters[row]!) && seen.add(clusters[row]!)))
      .slice(0, SHOWN);
  }, [run, region, atlas, outcome]);
  return (
    <>
      <p className="actions">
        {slice && (
          <>
            <a href={address(route, { view: "slice", rest: slice.number })}>The slice</a>
            <a href={address(route, { view: "items", params: { slice: slice.number } })}>
              All {plural(slice.members.length, "item")} of it
            </a>
          </>
        )}
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
                ? "Items, with the score less that of its peers"
                : "Items, with the score"}
          </h3>
          <ol className="region-items" data-testid="region-items">
            {rows.map((row) => (
              <li key={row}>
                {outcome && <span className="number-of">{signed(outcome[row]!, 1)}</span>}
                <button type="button" className="link" onClick={() => go({ params: { item: row } })}>
                  <bdi>{shorten(visible(text(atlas.items, "excerpt", row) ?? `item ${row}`), 110)}</bdi>
                </button>
              </li>
            ))}
          </ol>
        </>
      )}
    </>
  );
}
