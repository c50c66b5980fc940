"""Measure the power that a control costs where it is not needed: one planted concept, scores independent of length.

    python validation/power.py RUN [--worlds 400] [--d 0.4 0.5] [--least 8 15 25]

For each control: the planted concept's z-score, and how often it passes the Benjamini-Hochberg threshold for a single
true discovery; in closed form. A concept that correlates with length loses what it shares with length under any
control, because the two cannot be separated. The cost of the control itself is therefore measured with lengths shuffled
within each benchmark (``unrelated lengths``), where nothing confounds, and with real lengths for the concepts whose
weight the strata hardly explain.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from confounders import Confounder, draw
from controls import CONFIG, FREEDOM, samples, spline_sums
from worlds import World, within, world_of

from competency_gaps.evidence import ItemSample, block_sums, permutation_tails, units_of
from competency_gaps.evidence import sample as strata

FREE = 0.2
"""Share of a concept's weight explained by strata, below which it counts as unrelated to length: strata of 15 items
explain 0.07 by chance."""


def z_and_tail(sample: ItemSample, row: sp.csr_array) -> tuple[float, float]:
    """z-score and lower tail of the concept with this row of CAS."""
    units = units_of(sample)
    tails = permutation_tails(block_sums(units.rows(row), units.outcomes))
    return float(tails.z[0]), float(tails.low[0])


def explained(sample: ItemSample, row: sp.csr_array) -> float:
    """Share of the variance of a concept's weight within benchmarks that lies between their strata."""
    units = units_of(sample)
    weight = units.rows(row).toarray()[0]

    def scatter(group: np.ndarray) -> float:
        return float(((weight - (np.bincount(group, weight) / np.bincount(group))[group]) ** 2).sum())

    return 1 - scatter(units.block) / scatter(units.benchmark)


def with_unrelated_lengths(sample: ItemSample, seed: int) -> ItemSample:
    """Shuffle the items' lengths within each benchmark."""
    rng = np.random.default_rng((seed, 1))
    length = sample.covariates[0]
    values = within(length.values, sample.benchmark, rng.permutation)
    return replace(sample, covariates=(replace(length, values=values), *sample.covariates[1:]))


def one_world(world: World, d: float, seed: int, least: list[int]) -> tuple[float, dict[str, tuple[float, float]]]:
    """Share of the planted concept that length explains, and its z-score and lower tail under each control."""
    drawn = draw(world, Confounder("none"), 1, d, seed)
    column = world.cas[:, drawn.planted]
    row = sp.csr_array(column.T)
    given = samples(drawn.sample)
    found = {name: z_and_tail(given[name], row) for name in ("no control", "clusters only", "fifths")}
    shipped = strata.LEAST
    for size in least:
        strata.LEAST = size
        found[f"strata of {size}"] = z_and_tail(given["net"], row)
    strata.LEAST = shipped
    found["unrelated lengths"] = z_and_tail(with_unrelated_lengths(given["net"], seed), row)
    for freedom in FREEDOM:
        tails = permutation_tails(spline_sums(sp.csr_array(column), given["net"], freedom))
        found[f"spline, {freedom}"] = float(tails.z[0]), float(tails.low[0])
    return explained(given["net"], row), found


def main() -> None:
    """Print one line per control."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--d", type=float, nargs="+", default=[0.4, 0.5])
    parser.add_argument("--least", type=int, nargs="+", default=[8, 15, 25])
    args = parser.parse_args()
    world = world_of(args.run)
    threshold = CONFIG.q / 2 / world.eligible.sum()
    for d in args.d:
        worlds = [one_world(world, d, seed, args.least) for seed in range(args.worlds)]
        free = [found for share, found in worlds if share < FREE]
        for text, chosen in (("all", [found for _, found in worlds]), (f"explained below {FREE}", free)):
            print(f"d = {d}, {text}: {len(chosen)} worlds; mean z, share that pass {threshold:.1e}")
            for name in chosen[0]:
                z, low = np.array([found[name] for found in chosen]).T
                print(f"  {name:18}{np.nanmean(z):7.2f}{np.mean(low <= threshold):7.3f}", flush=True)


if __name__ == "__main__":
    main()
