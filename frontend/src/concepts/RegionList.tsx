import { type ReactNode, useEffect, useMemo, useRef } from "react";
import { go, useRoute } from "../app/route";
import { type Face, useFace, useNumberParam, useRun } from "../app/state";
import { pathOf } from "../atlas/regions";
import { numbers, type Table, texts } from "../data/table";
import type { Region } from "../data/types";
import { integer, percent } from "../format";
import { shorten, visible } from "../text";
import type { ShownTable } from "./useConceptTable";

/** Ranked concepts that hang in each region, and those of them that go with failure, or that no item activates. */
export function countsOf(regions: Region[], table: Table, face: Face): { ranked: number; bad: number }[] {
  const [key, word] = face === "model" ? ["performance_status", "failure"] : ["coverage_status", "missing"];
  const [of, ranked, status] = [numbers(table, "region"), numbers(table, "ranked"), texts(table, key!)];
  const counts = regions.map(() => ({ ranked: 0, bad: 0 }));
  for (let row = 0; row < table.rows; row++) {
    if (ranked[row] !== 1 || Number.isNaN(of[row]!)) continue;
    for (const { region } of pathOf(regions, of[row]!)) {
      counts[region]!.ranked++;
      counts[region]!.bad += Number(status[row] === word);
    }
  }
  return counts;
}

/** The tree of regions, those with the largest bad share first; choosing one selects its concepts in the table. */
export function RegionList({ table }: ShownTable) {
  const { regions } = useRun();
  const face = useFace();
  const { params } = useRoute();
  const chosen = useNumberParam("region");
  const counts = useMemo(() => countsOf(regions, table, face), [regions, table, face]);
  const path = pathOf(regions, chosen);
  const list = useRef<HTMLDetailsElement>(null);
  // Where the address names a region, its line must be in sight.
  useEffect(() => {
    list.current?.querySelector('[aria-pressed="true"]')?.scrollIntoView({ block: "nearest" });
  }, []);
  const share = ({ region }: Region) => counts[region]!.bad / counts[region]!.ranked;
  const listBelow = (parent: number | null): ReactNode => {
    const children = regions.filter((region) => region.parent === parent && counts[region.region]!.ranked > 0);
    children.sort((a, b) => share(b) - share(a) || counts[b.region]!.ranked - counts[a.region]!.ranked);
    return (
      children.length > 0 && (
        <ul>
          {children.map((region) => (
            <li key={region.region}>
              <button
                type="button"
                className="region-line"
                aria-pressed={region.region === chosen}
                aria-expanded={region.level < 3 ? path.includes(region) : undefined}
                data-testid="region"
                onClick={() => go({ params: { region: region.region === chosen ? region.parent : region.region } })}
              >
                <bdi>{shorten(visible(region.name), 90)}</bdi>
                <span className="soft">
                  {integer(counts[region.region]!.bad)} of {integer(counts[region.region]!.ranked)}{" "}
                  {face === "model" ? "with failure" : "missing"} ({percent(share(region))})
                </span>
              </button>
              {path.includes(region) && listBelow(region.region)}
            </li>
          ))}
        </ul>
      )
    );
  };
  return (
    // In a narrow window the table comes first, unless a region was chosen.
    <details ref={list} className="regions" data-testid="region-list" open={innerWidth > 900 || params.has("region")}>
      <summary>Regions</summary>
      {listBelow(null)}
    </details>
  );
}
