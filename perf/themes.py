"""Measure time, memory and accuracy of themes on planted groups of concepts.

    python perf/themes.py                            # 65,536 concepts, the width of a large public SAE
    python perf/themes.py --concepts 4096 --windows 2048

The data are made in one process and grouped in another, so that only the grouping is measured, including the
compilation at umap's first use. Prints seconds per part, peak memory, and how well the planted groups are recovered
(adjusted Rand index: 1 = perfectly, 0 = as by chance).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

D_IN, EMBEDDED, ACTIVE, GROUPS = 2304, 384, 300, 40


def make(folder: Path, concepts: int, windows: int, seed: int = 0) -> None:
    """Draw groups of unequal size with three noisy views: directions, co-activation, and embeddings of most labels."""
    rng = np.random.default_rng(seed)
    size = np.maximum(rng.dirichlet(np.full(GROUPS, 2.0)), 0.006)
    own = rng.choice(GROUPS, concepts, p=size / size.sum()).astype(np.int32)
    np.save(folder / "own.npy", own)
    for name, width in (("decoder", D_IN), ("labels", EMBEDDED)):
        centres = rng.standard_normal((GROUPS, width), np.float32)
        values = rng.standard_normal((concepts, width), np.float32) * np.float32(2.0)
        for start in range(0, concepts, 4096):
            values[start : start + 4096] += centres[own[start : start + 4096]]
        if name == "labels":
            values[rng.random(concepts) < 1 / 3] = np.nan
        np.save(folder / f"{name}.npy", values)
    members = [np.flatnonzero(own == g) for g in range(GROUPS)]
    rows = []
    for _ in range(windows):
        candidates = np.concatenate([members[g] for g in rng.choice(GROUPS, 3, replace=False)])
        chosen = [rng.choice(candidates, min(len(candidates), 2 * ACTIVE // 3)), rng.integers(0, concepts, ACTIVE // 3)]
        rows.append(np.unique(np.concatenate(chosen)))
    indptr = np.cumsum([0, *(len(row) for row in rows)])
    np.save(folder / "indptr.npy", indptr)
    np.save(folder / "indices.npy", np.concatenate(rows).astype(np.int32))
    np.save(folder / "data.npy", rng.lognormal(0, 0.7, int(indptr[-1])).astype(np.float32))


def peak_memory() -> float:
    """Peak resident memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(folder: Path) -> dict[str, Any]:
    """Group the concepts in this process, with the same steps as ``find_themes``."""
    from competency_gaps.dictionary.themes import DIMENSIONS, group, lay_out, neighbours, theme_features

    own, decoder, labels = (np.load(folder / f"{name}.npy") for name in ("own", "decoder", "labels"))
    parts = tuple(np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr"))
    firing = sp.csr_array(parts, shape=(len(parts[2]) - 1, len(own)))
    seconds: dict[str, float] = {}
    loaded, start = peak_memory(), time.perf_counter()

    def lap(name: str) -> None:
        nonlocal start
        seconds[name] = time.perf_counter() - start
        start = time.perf_counter()

    x = theme_features(decoder, firing, labels)
    lap("features")
    graph = neighbours(x)
    lap("neighbours")
    spread = lay_out(x, graph, DIMENSIONS)
    lap("layout for grouping, compiling included")
    theme, subtheme = group(spread)
    lap("grouping")
    lay_out(x, graph, 2)
    lap("map")
    from sklearn.metrics import adjusted_rand_score

    return {
        "concepts": len(own),
        "windows": firing.shape[0],
        "active": firing.nnz / firing.shape[0],
        "seconds": seconds,
        "loaded_gib": loaded,
        "peak_gib": peak_memory(),
        "themes": int(theme.max()) + 1,
        "subthemes": int(subtheme.max()) + 1,
        "largest": int(np.bincount(theme).max()),
        "ari": float(adjusted_rand_score(own, theme)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concepts", type=int, default=65_536)
    parser.add_argument("--windows", type=int, default=8_192)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), args.concepts, args.windows)
        command = [sys.executable, __file__, "--measure", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    report(json.loads(done.stdout))


def report(made: dict[str, Any]) -> None:
    """Print the figures."""
    print(f"{made['concepts']:,} concepts, {D_IN} wide, {made['windows']:,} windows with {made['active']:.0f} active")
    for name, seconds in made["seconds"].items():
        print(f"  {name:<40} {seconds:6.1f} s")
    print(f"  {'all':<40} {sum(made['seconds'].values()):6.1f} s")
    print(f"  peak memory {made['peak_gib']:.2f} GiB ({made['loaded_gib']:.2f} with the data loaded)")
    print(
        f"  {made['themes']} themes (the largest of {made['largest']:,}), {made['subthemes']} subthemes; ",
        end="",
    )
    print(f"{GROUPS} planted groups recovered with an adjusted Rand index of {made['ari']:.3f}")


if __name__ == "__main__":
    main()
