"""Measure matching by examples on a long list, beside SciPy's test of one column at a time.

    python perf/match_examples.py                                   # 10,000 entries, 16,384 concepts
    python perf/match_examples.py --entries 350 --concepts 4096

Examples are synthetic: as many active concepts each as items of real benchmarks have, and one concept that the examples
of every second entry share. Printed are the seconds, the most memory, how many entries were matched and how many of
these wrongly, and the time that ``scipy.stats.mannwhitneyu`` takes for a pair of entry and concept, over ours.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import scipy.sparse as sp
from scipy.stats import mannwhitneyu

from competency_gaps.matching.markers import Examples, find_markers

PEERS = 200
"""Pairs that SciPy's function is timed on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--concepts", type=int, default=16_384)
    parser.add_argument("--each", type=int, default=15, help="examples of an entry")
    parser.add_argument("--domains", type=int, default=20)
    parser.add_argument("--active", type=int, default=60, help="active concepts of an example")
    args = parser.parse_args()
    examples = synthetic(args)
    start = time.perf_counter()
    markers = find_markers(examples, np.ones(args.concepts, bool))
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    planted = np.arange(args.entries) % 2 == 0
    print(f"{args.entries:,} entries x {args.concepts:,} concepts: {seconds:.1f} s, at most {memory:.1f} GiB")
    right, wrong = (markers.matched[rows].mean() for rows in (planted, ~planted))
    print(f"matched: {right:.1%} of planted entries, {wrong:.1%} of others")
    own = 2 * args.entries * args.concepts / seconds
    peer = PEERS / timed_peer(examples)
    print(f"pairs a second, both halves counted: {own:,.0f}; SciPy's mannwhitneyu {peer:,.0f}; ratio {own / peer:,.0f}")


def synthetic(args: argparse.Namespace) -> Examples:
    """Entries in domains of equal size."""
    rng = np.random.default_rng(0)
    count = args.entries * args.each
    entry = np.repeat(np.arange(args.entries), args.each)
    column = (args.concepts * rng.random((count, args.active)) ** 2).astype(np.int64)  # some concepts are common
    shared = rng.integers(args.concepts, size=args.entries)
    column[entry % 2 == 0, 0] = shared[entry[entry % 2 == 0]]
    value = rng.exponential(size=column.shape) + 0.1
    row = np.repeat(np.arange(count), args.active)
    values = sp.csr_array((value.ravel(), (row, column.ravel())), shape=(count, args.concepts))
    member = sp.csr_array((np.ones(count), (entry, np.arange(count))), shape=(args.entries, count))
    return Examples(values, member, entry % args.domains, rng.lognormal(4, 0.5, count))


def timed_peer(examples: Examples) -> float:
    """Seconds of SciPy's test for some pairs, on dense columns of a domain."""
    rows = np.flatnonzero(examples.domain == 0)
    values = sp.csc_array(examples.values[rows])
    own = sp.csr_array(sp.csc_array(examples.member)[:, rows])[[0]].toarray()[0] > 0
    columns = [values[:, [column]].toarray()[:, 0] for column in range(PEERS)]
    start = time.perf_counter()
    for column in columns:
        mannwhitneyu(column[own], column[~own], alternative="greater", method="asymptotic")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
