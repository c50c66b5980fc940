"""Coverage, performance and structure: NumPy and SciPy on sparse rows, no model needed.

``chi_bench`` and ``chi_model`` also work on plain arrays::

    sums = Sums.of(cas, scores)            # csr_array (items, concepts), NaN = unscored
    chi_model(sums)                        # per concept, NaN = undefined
    chi_bench(sums, alive=sums.cas > 0)

:func:`suite_metrics` does the whole suite from a CAS matrix, a score vector and benchmark ids.
"""

from competency_gaps.metrics.suite import chi_bench, chi_model, suite_metrics
from competency_gaps.metrics.sums import Sums

__all__ = ["Sums", "chi_bench", "chi_model", "suite_metrics"]
