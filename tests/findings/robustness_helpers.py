"""Runs as arrays, drawn with or without weak concepts."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.findings.draws import RunData


def drawn_run(seed: int, *, items=(300, 240), width=60, weak=0, unscored=0.05, effect=0.45) -> RunData:
    """Benchmarks of different difficulty; on items where one of the first ``weak`` concepts is strong, more fails."""
    rng = np.random.default_rng(seed)
    benchmark = np.repeat(np.arange(len(items)), items)
    count = len(benchmark)
    cas = (rng.lognormal(0, 0.7, (count, width)) * (rng.random((count, width)) < 0.25)).astype(np.float32)
    chance = np.array([0.85, 0.6, 0.4])[benchmark]
    if weak:
        chance = np.where((cas[:, :weak] > 1).any(axis=1), effect * chance, chance)
    scores = (rng.random(count) < chance).astype(float)
    scores[rng.random(count) < unscored] = np.nan
    tau = cas.sum(0) / (cas > 0).sum(0)
    every = np.ones(width, bool)
    ids = tuple((f"b{b}", str(i)) for i, b in enumerate(benchmark))
    return RunData(sp.csr_array(cas), scores, benchmark, np.arange(count), ids, every, every, every, tau)
