"""Coverage, performance and structure: NumPy and SciPy on sparse rows, no model needed.

``chi_bench`` and ``chi_model`` also work on plain arrays::

    sums = Sums.of(cas, scores)            # csr_array (items, concepts), NaN = unscored
    chi_model(sums)                        # per concept, NaN = undefined
    chi_bench(sums, alive=sums.cas > 0)

:func:`suite_metrics` does the whole suite from a CAS matrix, a score vector and benchmark ids.
"""

from competency_gaps.metrics.suite import (
    BenchmarkOverlap,
    SuiteMetrics,
    chance_seen,
    chi_bench,
    chi_model,
    coverage_status,
    lift,
    missing_everywhere,
    overlap,
    pooled_chi_model,
    saliency,
    share,
    suite_chi_bench,
    suite_chi_model,
    suite_metrics,
    typical_cas,
)
from competency_gaps.metrics.sums import Sums

__all__ = [
    "BenchmarkOverlap",
    "SuiteMetrics",
    "Sums",
    "chance_seen",
    "chi_bench",
    "chi_model",
    "coverage_status",
    "lift",
    "missing_everywhere",
    "overlap",
    "pooled_chi_model",
    "saliency",
    "share",
    "suite_chi_bench",
    "suite_chi_model",
    "suite_metrics",
    "typical_cas",
]
