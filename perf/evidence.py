"""Measure time and memory of metrics, evidence and subsampling on synthetic rows with realistically skewed concepts.

    python perf/evidence.py                          # 5, 50 and 150 million non-zeros
    python perf/evidence.py --millions 5 --no-peer

Each size is made in one process and measured in another, so that only the measured part counts towards memory. The
peer is a pandas group-by over the long table (concept, item, weight, score), which gives chi_bench and chi_model only.
Prints times, the ratio to the peer, and peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Covariate, Thresholds, evidence, sample_of
from competency_gaps.evidence.chi import Sums, combine
from competency_gaps.findings.draws import RunData, subsample
from competency_gaps.pipeline.extraction import SHARD_ITEMS

BENCHMARKS = 10
LEVELS = np.linspace(0.15, 0.85, BENCHMARKS)
PER_ITEM = 1000


def drawn_rows(items: int, width: int, seed: int = 0) -> Iterator[sp.csr_array]:
    """Draw CAS rows: concept frequencies follow a power law that varies by benchmark; weights are log-normal.

    Yields at most ``SHARD_ITEMS`` rows at a time, all of one benchmark; benchmarks are equally large.
    """
    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, width + 1) ** 0.6
    per = items // BENCHMARKS
    for _ in range(BENCHMARKS):
        own = frequency * rng.lognormal(0, 1, width)
        bounds = np.cumsum(own / own.sum())
        for start in range(0, per, SHARD_ITEMS):
            count = min(SHARD_ITEMS, per - start)
            drawn = np.searchsorted(bounds, rng.random((count, int(PER_ITEM * 1.25)))).astype(np.int32)
            drawn.sort(axis=1)
            first = np.ones(drawn.shape, bool)
            first[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
            first &= np.cumsum(first, axis=1) <= PER_ITEM
            concepts = np.minimum(drawn[first], width - 1)
            data = rng.lognormal(-2, 1, len(concepts)).astype(np.float32)
            indptr = np.concatenate([[0], np.cumsum(first.sum(axis=1))])
            yield sp.csr_array((data, concepts, indptr), shape=(count, width))


def peak_memory() -> float:
    """Peak resident memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(folder: Path, width: int, *, peer: bool) -> dict[str, Any]:
    """Time one size in this process."""
    base = peak_memory()
    arrays = [np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr")]
    cas = sp.csr_array(tuple(arrays), shape=(len(arrays[2]) - 1, width))
    items = cas.shape[0]
    rows = (cas.data.nbytes + cas.indices.nbytes + cas.indptr.nbytes) / 2**30
    rng = np.random.default_rng(1)
    benchmark = np.repeat(np.arange(BENCHMARKS), items // BENCHMARKS)
    scores = (rng.random(len(benchmark)) < LEVELS[benchmark]).astype(float)
    # As in a real suite, one item in twenty repeats another, and lengths form strata.
    cluster = np.arange(items)
    cluster[(rng.random(items) < 0.05) & (np.arange(items) % (items // BENCHMARKS) > 0)] -= 1
    repeats = np.bincount(cluster)[cluster] > 1
    length = Covariate("length", rng.integers(10, 400, items).astype(float))
    made = peak_memory()
    start = time.perf_counter()
    own = {str(number): benchmark == number for number in range(BENCHMARKS)}
    combine({name: Sums.of(cas[rows], scores[rows]) for name, rows in own.items()}, None)
    sample = sample_of(cas, scores, benchmark, cluster=cluster, covariates=[length], repeats=repeats)
    found = evidence(sample, Thresholds())
    seconds = time.perf_counter() - start
    after = peak_memory()
    alive = np.ones(width, bool)
    tested = ~np.isnan(found.q_value)
    ids = tuple((str(b), str(i)) for i, b in enumerate(benchmark.tolist()))
    data = RunData(cas, scores, benchmark, cluster, ids, alive, alive, tested, np.ones(width))
    start = time.perf_counter()
    subsample(data)
    drawing = time.perf_counter() - start
    result = {
        "millions": cas.nnz / 1e6,
        "items": len(benchmark),
        "evidence_s": seconds,
        "subsample_s": drawing,
        "tested": int(tested.sum()),
        "rows_gib": rows,
        "made_gib": made - base,
        "evidence_gib": after - base,
    }
    if peer:
        result["peer_s"] = _peer(cas, scores, benchmark)
    return result


def _peer(cas: sp.csr_array, scores: np.ndarray, benchmark: np.ndarray) -> float:
    """Seconds that the group-by takes, without the time to make the long table."""
    import pandas as pd

    item = np.repeat(np.arange(len(scores), dtype=np.int32), np.diff(cas.indptr))
    table = pd.DataFrame({"benchmark": benchmark[item], "concept": cas.indices, "w": cas.data, "s": scores[item]})
    start = time.perf_counter()
    table["ws"] = table["w"] * table["s"]
    sums = table.groupby(["benchmark", "concept"])[["w", "ws"]].sum()
    sums["chi"] = sums["ws"] / sums["w"]
    sums.groupby("concept")["chi"].mean()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, nargs="+", default=[5, 50, 150])
    parser.add_argument("--width", type=int, default=65_536)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        cas = sp.csr_array(
            sp.vstack(list(drawn_rows(int(args.millions[0] * 1e6 / PER_ITEM), args.width)), format="csr")
        )
        for name in ("data", "indices", "indptr"):
            np.save(args.make / f"{name}.npy", getattr(cas, name))
        return
    if args.measure:
        print(json.dumps(measure(args.measure, args.width, peer=not args.no_peer)))
        return
    for millions in args.millions:
        # The long table of the largest size would not fit beside the rows.
        peer = not args.no_peer and millions <= 50
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--width", str(args.width)]
            subprocess.run([*command, "--millions", str(millions), "--make", folder], check=True)
            measured = [*command, "--measure", folder, *([] if peer else ["--no-peer"])]
            done = subprocess.run(measured, stdout=subprocess.PIPE, text=True, check=True)
        report(json.loads(done.stdout), args.width)


def report(size: dict[str, Any], width: int) -> None:
    """Print the figures of one size."""
    per = 1000 * size["evidence_s"] / size["millions"]
    rows = size["rows_gib"]
    print(
        f"{size['millions']:.0f} million non-zeros, {size['items']:,} items x {width:,} concepts, rows {rows:.2f} GiB"
    )
    print(f"  metrics and evidence  {size['evidence_s']:.1f} s, {per:.0f} ms a million non-zeros")
    print(f"                        {size['tested']:,} concepts tested")
    print(f"  100 subsamples        {size['subsample_s']:.1f} s")
    before, peak = size["made_gib"] / rows, size["evidence_gib"] / rows
    print(f"  peak memory           {peak:.2f} times the rows ({before:.2f} before the computation)")
    if "peer_s" in size:
        print(f"  pandas group-by       {size['peer_s']:.1f} s for chi_model alone; ours take ", end="")
        print(f"{size['evidence_s'] / size['peer_s']:.1f} times as long for everything")


if __name__ == "__main__":
    main()
