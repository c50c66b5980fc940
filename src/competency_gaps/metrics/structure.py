"""Suite structure: how far two benchmarks exercise the same concepts and agree on their performance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class BenchmarkOverlap(NamedTuple):
    """Two benchmarks compared."""

    jaccard: float
    """|A and B| / |A or B| of their covered concepts, in [0, 1] [paper]; NaN if both cover nothing."""
    cosine: float
    """Cosine of their chi_bench vectors, in [0, 1] [ours]; NaN if one covers nothing."""
    spearman: float
    """Rank correlation of their chi_model over shared concepts, in [-1, 1] [paper's explorer]; NaN below 3 concepts."""
    n_concepts: int
    """Concepts whose chi_model is defined in both."""


def overlap(
    chi_bench_a: np.ndarray, chi_bench_b: np.ndarray, chi_model_a: np.ndarray, chi_model_b: np.ndarray
) -> BenchmarkOverlap:
    """Compare two benchmarks from their vectors of shape (concepts,)."""
    covered_a, covered_b = chi_bench_a > 0, chi_bench_b > 0
    union = int((covered_a | covered_b).sum())
    norms = float(np.linalg.norm(chi_bench_a) * np.linalg.norm(chi_bench_b))
    both = ~np.isnan(chi_model_a) & ~np.isnan(chi_model_b)
    return BenchmarkOverlap(
        jaccard=float((covered_a & covered_b).sum() / union) if union else float("nan"),
        cosine=float(chi_bench_a @ chi_bench_b / norms) if norms else float("nan"),
        spearman=_spearman(chi_model_a[both], chi_model_b[both]),
        n_concepts=int(both.sum()),
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import spearmanr

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)
