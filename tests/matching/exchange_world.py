"""Weak concepts that have nothing to do with a list: how often do they seem to?

    python tests/matching/exchange_world.py --lists 300 --each 1
    python tests/matching/exchange_world.py --lists 100 --each 4

Prints of how many random lists the p-value is at most 0.05, with whole groups exchanged and with concepts one by one.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import scipy.sparse as sp

from competency_gaps.matching.by_chance import Matched, by_chance, exchanged
from competency_gaps.matching.exchange import GroupExchange, Verdicts

BLOCKS, SIZE, ALONE, ITEMS = 60, 6, 240, 400
CONCEPTS = BLOCKS * SIZE + ALONE
BLOCK_OF = np.r_[np.repeat(np.arange(BLOCKS), SIZE), BLOCKS + np.arange(ALONE)]


def rows_of():
    """Concepts of a block are active on the same tenth of the items, but for one in five; others on their own items."""
    rng = np.random.default_rng(0)
    subject = rng.random((BLOCKS + ALONE, ITEMS)) < 0.1
    active = subject[BLOCK_OF] & (rng.random((CONCEPTS, ITEMS)) < 0.8)
    return sp.csr_array(np.where(active, rng.exponential(size=active.shape), 0))


def verdicts_of(weak_blocks, rows, *, led=True):
    weak = np.isin(BLOCK_OF, weak_blocks)
    first = np.searchsorted(BLOCK_OF, BLOCK_OF)
    leader = first if led else np.arange(CONCEPTS)
    return Verdicts(weak, leader, np.ones(CONCEPTS, bool), np.diff(rows.indptr))


def p_value(rng, rows, each, led):
    """Of a list whose 40 entries match concepts of five blocks, with twelve of sixty blocks weak at random."""
    subjects = rng.choice(BLOCKS, 5, replace=False)[rng.integers(5, size=40)]
    pairs = np.zeros((40, CONCEPTS))
    for entry, block in enumerate(subjects):
        pairs[entry, SIZE * block + rng.choice(SIZE, each, replace=False)] = 1
    verdicts = verdicts_of(rng.choice(BLOCKS, 12, replace=False), rows, led=led)
    verdicts = Verdicts(verdicts.weak, verdicts.leader, BLOCK_OF < BLOCKS, verdicts.support)
    nothing = np.zeros(CONCEPTS, bool)
    matched = Matched(sp.csr_array(pairs), sp.csr_array((40, 0)), verdicts.weak, np.zeros(0, bool), nothing)
    weak, _ = matched.outcomes(verdicts.weak, np.zeros(0, bool), nothing)
    groups = GroupExchange(verdicts, rows, 0)
    draws = exchanged(matched, groups, None, ~nothing, verdicts.support, seed=int(rng.integers(2**31)), draws=99)
    return by_chance(int(weak.sum()), 40, draws[:, 0]).p_value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=300)
    parser.add_argument("--each", type=int, default=1, help="concepts of a group that an entry matches")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, rows = np.random.default_rng(args.seed), rows_of()
    for led, how in ((True, "whole groups"), (False, "one by one")):
        small = np.mean([p_value(rng, rows, args.each, led) <= 0.05 for _ in range(args.lists)])
        sys.stdout.write(f"{how}: p <= 0.05 for {small:.1%} of {args.lists} lists\n")


if __name__ == "__main__":
    main()
