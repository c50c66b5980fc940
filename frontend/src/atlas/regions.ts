/** Regions of the atlas: which holds which, and what of a run lies in each. */

import type { Slice } from "../answer/slices";
import { numbers, type Table } from "../data/table";
import type { ListedFinding, Region } from "../data/types";

/** A region and all that hold it, the coarsest first. */
export function pathOf(regions: Region[], region: number | null): Region[] {
  const own = region === null ? undefined : regions[region];
  return own ? [...pathOf(regions, own.parent), own] : [];
}

/** For each region the one of a level that holds it, itself at its own level; NaN: it is coarser. */
export function heldBy(regions: Region[], level: number): Float64Array {
  return Float64Array.from(regions, ({ region }) => pathOf(regions, region)[level - 1]?.region ?? NaN);
}

/** Whether a region of the finest level lies in a region. */
export function liesIn(regions: Region[], region: number): (finest: number) => boolean {
  const level = regions[region]?.level ?? 1;
  const held = heldBy(regions, level);
  return (finest) => held[finest] === region;
}

/** Rows of the items that lie in a region. */
export function rowsIn(regions: Region[], region: number, places: Table): number[] {
  const [finest, unlike] = [numbers(places, "region"), numbers(places, "unlike")];
  const inside = liesIn(regions, region);
  return [...finest.keys()].filter((row) => unlike[row] !== 1 && inside(finest[row]!));
}

/** What of some items lies in a region. */
export interface Tally {
  items: number;
  /** Those with an outcome, and their mean outcome; NaN: there are none. */
  scored: number;
  mean: number;
  /** Mean outcome of the items elsewhere. */
  elsewhere: number;
}

/**
 * Counts the items of each region, of every level. `finest` is NaN, and `unlike` not 0, for items that lie nowhere.
 *
 * `items` is how many items there are, those among them that lie nowhere.
 */
export function tallies(
  regions: Region[],
  places: Table,
  kept: (row: number) => boolean,
  outcome: ArrayLike<number> | null,
): { items: number; unlike: number; of: Tally[] } {
  const [finest, unlike] = [numbers(places, "region"), numbers(places, "unlike")];
  const [items, scored, sums] = [0, 1, 2].map(() => new Float64Array(regions.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  let [all, off, known, sum] = [0, 0, 0, 0];
  for (let row = 0; row < places.rows; row++) {
    if (Number.isNaN(finest[row]!) || !kept(row)) continue;
    all++;
    const value = outcome?.[row] ?? NaN;
    const has = Number(!Number.isNaN(value));
    known += has;
    sum += has && value;
    if (unlike[row] === 1) {
      off++;
      continue;
    }
    items[finest[row]!]!++;
    scored[finest[row]!]! += has;
    sums[finest[row]!]! += has && value;
  }
  // Coarser regions have smaller numbers, so each is complete before it is added to the one that holds it.
  for (const { region, parent } of regions.toReversed())
    for (const count of parent === null ? [] : [items, scored, sums]) count[parent!]! += count[region]!;
  const of = regions.map(({ region }) => ({
    items: items[region]!,
    scored: scored[region]!,
    mean: sums[region]! / scored[region]!,
    elsewhere: (sum - sums[region]!) / (known - scored[region]!),
  }));
  return { items: all, unlike: off, of };
}

/** Findings by the regions that hold at least half of their items. */
export function findingsIn(
  regions: Region[],
  places: Table,
  findings: ListedFinding[],
  slices: Map<number, Pick<Slice, "members">>,
): Map<number, ListedFinding[]> {
  const finest = numbers(places, "region");
  const found = new Map<number, ListedFinding[]>();
  for (const finding of findings) {
    const members = slices.get(finding.slice)?.members ?? [];
    const counts = new Map<number, number>();
    for (const row of members)
      for (const { region } of pathOf(regions, Number.isNaN(finest[row]!) ? null : finest[row]!))
        counts.set(region, (counts.get(region) ?? 0) + 1);
    for (const [region, count] of counts)
      if (count >= members.length / 2) found.set(region, [...(found.get(region) ?? []), finding]);
  }
  return found;
}
