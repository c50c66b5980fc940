/** The tree of regions, and what of a run lies in each. */

import type { Slice } from "../answer/slices";
import { numbers, type Table } from "../data/table";
import type { ListedFinding, ListedSlice, Region, SliceGap } from "../data/types";

/** The path from the coarsest ancestor to a region. */
export function pathOf(regions: Region[], region: number | null): Region[] {
  const entry = region === null ? undefined : regions[region];
  return entry ? [...pathOf(regions, entry.parent), entry] : [];
}

/** For each region, its ancestor at a level (itself at its own level); NaN if it is coarser. */
export function regionAtLevel(regions: Region[], level: number): Float64Array {
  return Float64Array.from(regions, ({ region }) => pathOf(regions, region)[level - 1]?.region ?? NaN);
}

/** A test whether a finest region lies within `region`. */
export function liesIn(regions: Region[], region: number): (finest: number) => boolean {
  const level = regions[region]?.level ?? 1;
  const ancestors = regionAtLevel(regions, level);
  return (finest) => ancestors[finest] === region;
}

/** Rows of the items that lie in a region. */
export function rowsIn(regions: Region[], region: number, locations: Table): number[] {
  const [finest, unlike] = [numbers(locations, "region"), numbers(locations, "unlike")];
  const inside = liesIn(regions, region);
  return [...finest.keys()].filter((row) => unlike[row] !== 1 && inside(finest[row]!));
}

/**
 * Count the items of every region.
 *
 * `items` counts all items on the atlas, `unlike` those that lie in no region.
 */
export function countItems(
  regions: Region[],
  locations: Table,
  inBenchmark: (row: number) => boolean,
): { items: number; unlike: number; of: Float64Array } {
  const [finest, unlike] = [numbers(locations, "region"), numbers(locations, "unlike")];
  const of = new Float64Array(regions.length);
  let [items, off] = [0, 0];
  for (let row = 0; row < locations.rows; row++) {
    if (Number.isNaN(finest[row]!) || !inBenchmark(row)) continue;
    items++;
    if (unlike[row] === 1) off++;
    else of[finest[row]!]!++;
  }
  // Coarser regions have smaller numbers, so each total is complete before it is added to its parent's.
  for (const { region, parent } of regions.toReversed()) if (parent !== null) of[parent]! += of[region]!;
  return { items, unlike: off, of };
}

/** Gaps by region, for regions that are slices; slices are matched by name, so ambiguous names are left out. */
export function gapsOf(regions: Region[], slices: Iterable<ListedSlice>, gaps: Map<number, SliceGap>) {
  const byRegion = new Map<number, SliceGap>();
  for (const { family, name, number } of slices) {
    const named = family === "regions" ? regions.filter((region) => region.name === name) : [];
    const gap = gaps.get(number);
    if (named.length === 1 && gap) byRegion.set(named[0]!.region, gap);
  }
  return byRegion;
}

/** Findings by region, for each region that has at least half of a finding's items. */
export function findingsIn(
  regions: Region[],
  locations: Table,
  findings: ListedFinding[],
  slices: Map<number, Pick<Slice, "members">>,
): Map<number, ListedFinding[]> {
  const finest = numbers(locations, "region");
  const byRegion = new Map<number, ListedFinding[]>();
  for (const finding of findings) {
    const members = slices.get(finding.slice)?.members ?? [];
    const counts = new Map<number, number>();
    for (const row of members)
      for (const { region } of pathOf(regions, Number.isNaN(finest[row]!) ? null : finest[row]!))
        counts.set(region, (counts.get(region) ?? 0) + 1);
    for (const [region, count] of counts)
      if (count >= members.length / 2) byRegion.set(region, [...(byRegion.get(region) ?? []), finding]);
  }
  return byRegion;
}
