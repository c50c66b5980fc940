"""Measure matching by examples on a long list: all of it but the reading of the prompts.

    python perf/match_examples.py                                   # 10,000 entries, 16,384 concepts, one domain
    python perf/match_examples.py --domains 20
    python perf/match_examples.py --entries 350 --concepts 4096

Examples, and a run's items with weak concepts and themes, are synthetic: as many active concepts each as items of real
benchmarks have, and one concept that the examples of every second entry share. Printed are the seconds and the most
memory of ``match_by_examples``, with its halves, its shuffles and its 2,000 exchanges of verdicts; how many entries
were matched, and how many of these wrongly; and beside one comparison of all entries (AUROC of every pair on the first
half, p-values of five concepts an entry on the second) what SciPy's ``mannwhitneyu`` would take for these AUROC.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.stats import mannwhitneyu

from competency_gaps.matching.by_examples import match_by_examples
from competency_gaps.matching.division import Division, Examples, divide
from competency_gaps.matching.examples import ReadExamples
from competency_gaps.matching.markers import Comparison
from competency_gaps.matching.taxonomy import TaxonomyEntry

PEERS = 50
"""Pairs that SciPy's function is timed on."""
THEMES = 200
WEAK = 0.05
"""Share of the concepts and of the themes that are weak."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--concepts", type=int, default=16_384)
    parser.add_argument("--each", type=int, default=15, help="examples of an entry")
    parser.add_argument("--domains", type=int, default=1)
    parser.add_argument("--active", type=int, default=60, help="active concepts of an example")
    parser.add_argument("--items", type=int, default=5_000, help="items of the run")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    examples = synthetic(rng, args)
    run: Any = SyntheticRun(rng, args)
    left_out = pl.DataFrame(schema={"entry": pl.String, "reason": pl.String})
    count = np.full(args.entries, args.each)
    read = ReadExamples(examples, count, np.arange(args.entries * args.each), left_out)
    entries = [TaxonomyEntry(f"e{i}", f"entry {i}", None, None, None, {}) for i in range(args.entries)]
    start, worked = time.perf_counter(), time.process_time()
    made = match_by_examples(run, entries, read)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = f"{args.entries:,} entries x {args.concepts:,} concepts in {args.domains:,} domain(s)"
    print(f"{size}: {seconds:.0f} s ({worked:.0f} s of CPU), {made.matched.draws} shuffles, at most {memory:.1f} GiB")
    matched = made.entries["outcome"].is_in(["weak", "untested", "matched"]).to_numpy()
    right, wrong = (matched[start::2].mean() for start in (0, 1))
    print(
        f"matched: {right:.1%} of planted entries, {wrong:.1%} of others; by chance {made.matched.expected:.1f} entries"
    )
    print_ratio(examples, args)


def synthetic(rng: np.random.Generator, args: argparse.Namespace) -> Examples:
    """Entries in domains of equal size."""
    count = args.entries * args.each
    entry = np.repeat(np.arange(args.entries), args.each)
    column = active_columns(rng, args, count)
    shared = rng.integers(args.concepts, size=args.entries)
    column[entry % 2 == 0, 0] = shared[entry[entry % 2 == 0]]
    member = sp.csr_array((np.ones(count), (entry, np.arange(count))), shape=(args.entries, count))
    return Examples(
        rows_of(rng, column, args.concepts), member, entry // 2 % args.domains, rng.lognormal(4, 0.5, count)
    )


def active_columns(rng: np.random.Generator, args: argparse.Namespace, count: int) -> np.ndarray:
    """Concepts that are active in each of some rows: some are common."""
    return (args.concepts * rng.random((count, args.active)) ** 2).astype(np.int64)


def rows_of(rng: np.random.Generator, column: np.ndarray, concepts: int) -> sp.csr_array:
    row = np.repeat(np.arange(len(column)), column.shape[1])
    value = rng.exponential(size=column.size) + 0.1
    return sp.csr_array(sp.coo_array((value, (row, column.ravel())), shape=(len(column), concepts)))


class SyntheticRun:
    """What a matching reads of a run: concepts and themes with verdicts, and its items' activations."""

    def __init__(self, rng: np.random.Generator, args: argparse.Namespace) -> None:
        rows = rows_of(rng, active_columns(rng, args, args.items), args.concepts)
        self._columns = sp.csr_array(rows.T)
        self.by_concept = self
        self.items = pl.DataFrame(
            {"benchmark": ["b"] * args.items, "item_id": [str(i) for i in range(args.items)]},
        )
        support = np.diff(self._columns.indptr)
        facts = {"chi_bench": 1.0, "lift": 0.0, "chi_model": 0.5, "q_value": 1.0}
        self.concepts = pl.DataFrame(
            {
                "concept": pl.Series(np.arange(args.concepts), dtype=pl.Int32),
                "ranked": np.ones(args.concepts, bool),
                "support": support,
                "gap": rng.normal(size=args.concepts),
                **self._verdicts(rng, args.concepts),
                "coverage_status": np.where(support == 0, "missing", "typical"),
            }
        ).with_columns(**{name: pl.lit(value) for name, value in facts.items()})
        theme = pl.Series(rng.integers(THEMES, size=args.concepts), dtype=pl.Int32)
        self.themes = pl.DataFrame({"concept": self.concepts["concept"], "theme": theme})
        self.theme_results = pl.DataFrame(
            {
                "level": ["theme"] * THEMES,
                "id": np.arange(THEMES),
                "name": [f"theme {i}" for i in range(THEMES)],
                "gap": rng.normal(size=THEMES),
                "support": np.full(THEMES, args.items),
                **self._verdicts(rng, THEMES),
            }
        )

    @staticmethod
    def _verdicts(rng: np.random.Generator, count: int) -> dict[str, Any]:
        weak = rng.random(count) < WEAK
        leader = pl.Series(np.where(weak, np.arange(count), -1), dtype=pl.Int32).replace(-1, None)
        return {"performance_status": np.where(weak, "weak", "typical"), "leader": leader}

    def cas(self, concepts: np.ndarray, items: int) -> sp.csr_array:
        """Activation scores of concepts in the run's items, concept by concept."""
        return sp.csr_array(self._columns[concepts][:, :items])


def print_ratio(examples: Examples, args: argparse.Namespace) -> None:
    """Time one comparison of all entries, and SciPy's test of single pairs on one half."""
    able = np.ones(args.concepts, bool)
    start = time.process_time()
    division = divide(examples, 0)
    Comparison(examples, division, able, q=0.05).markers(examples.member, groups=False)
    own = time.process_time() - start
    peer = timed_peer(examples, division) * args.entries * args.concepts
    print(f"one comparison of all entries: {own:.1f} s, with the ranks and five p-values an entry on the second half")
    print(f"SciPy's mannwhitneyu, all pairs one by one on the first half: {peer:,.0f} s (from {PEERS} pairs),")
    print(f"{peer / own:,.0f} times as long; of length it knows nothing")


def timed_peer(examples: Examples, division: Division) -> float:
    """Seconds of SciPy's test for a pair, on dense columns of a domain's first half."""
    rows = np.flatnonzero((examples.domain == 0) & division.choosing)
    values = sp.csc_array(examples.values[rows])
    own = sp.csr_array(sp.csc_array(examples.member)[:, rows])[[0]].toarray()[0] > 0
    columns = [values[:, [column]].toarray()[:, 0] for column in range(PEERS)]
    start = time.process_time()
    for column in columns:
        mannwhitneyu(column[own], column[~own], alternative="greater", method="asymptotic")
    return (time.process_time() - start) / PEERS


if __name__ == "__main__":
    main()
