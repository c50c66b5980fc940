"""Runs as arrays, drawn with or without weak concepts."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig, MetricsConfig
from competency_gaps.evidence import measure_evidence
from competency_gaps.robustness.data import Part, RunData


def drawn_run(seed: int, *, items=(300, 240), width=60, weak=0, unscored=0.05, effect=0.45) -> RunData:
    """Benchmarks of different difficulty; on items where one of the first ``weak`` concepts is strong, more fails."""
    rng = np.random.default_rng(seed)
    parts, ids, rows, marks = [], [], [], []
    for b, n in enumerate(items):
        cas = rng.lognormal(0, 0.7, (n, width)) * (rng.random((n, width)) < 0.25)
        chance = np.full(n, (0.85, 0.6, 0.4)[b])
        if weak:
            chance = np.where((cas[:, :weak] > 1).any(axis=1), effect * chance, chance)
        scores = (rng.random(n) < chance).astype(float)
        scores[rng.random(n) < unscored] = np.nan
        matrix = sp.csr_array(cas.astype(np.float32))
        start = sum(len(part.scores) for part in parts)
        parts.append(Part(f"b{b}", matrix, scores, np.arange(start, start + n), np.zeros(n, bool), ()))
        ids += [(f"b{b}", str(i)) for i in range(n)]
        rows.append(cas)
        marks += [b] * n
    dense = np.concatenate(rows)
    scores = np.concatenate([part.scores for part in parts])
    found = measure_evidence(sp.csr_array(dense), scores, np.asarray(marks))
    tau = np.divide(dense.sum(0), (dense > 0).sum(0), out=np.ones(width), where=(dense > 0).any(0))
    every = np.ones(width, bool)
    settings = EvidenceConfig(), MetricsConfig(), (0.0, 1.0)
    return RunData(tuple(parts), tuple(ids), every, every, ~np.isnan(found.q_value), tau, *settings)
