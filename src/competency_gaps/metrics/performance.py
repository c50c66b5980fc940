"""Performance: does the model do well when a concept is active? (chi_model)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from competency_gaps.metrics.sums import Sums, add_all


def chi_model(sums: Sums) -> np.ndarray:
    """Performance of each concept in one benchmark.

    ``chi_model(c, b) = sum_x CAS(c, x) s(x) / sum_x CAS(c, x)`` over scored items [paper].

    Returns
    -------
    ndarray of float64 of shape (concepts,), in [0, 1]; NaN = undefined, where the sum of CAS is 0.
    """
    out = np.full(len(sums.weight), np.nan)
    defined = sums.weight > 0
    np.divide(sums.weight_score, sums.weight, out=out, where=defined)
    # Rounding of the two sums can put a perfect concept just above 1.
    return np.clip(out, 0.0, 1.0)


def suite_chi_model(per_benchmark: np.ndarray) -> np.ndarray:
    """``chi_model(c) = mean over the benchmarks where it is defined`` [paper].

    Parameters
    ----------
    per_benchmark : ndarray of shape (benchmarks, concepts)
        NaN where undefined.

    Returns
    -------
    ndarray of float64 of shape (concepts,); NaN where it is undefined in every benchmark.
    """
    values = np.asarray(per_benchmark, dtype=np.float64)
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)


def pooled_chi_model(all_sums: Sequence[Sums]) -> np.ndarray:
    """One weighted mean over the items of all benchmarks [ours, an option]; NaN = undefined."""
    return chi_model(add_all(all_sums))
