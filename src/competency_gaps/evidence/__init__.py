"""Evidence that a gap is no accident: samples, intervals, adjusted gaps, p- and q-values.

Everything reads the same :class:`~competency_gaps.metrics.Sums`; :func:`evidence` gathers it for a suite, and
:func:`suite_evidence` for plain arrays.
"""

from competency_gaps.evidence.gap import adjusted_gap, gap_interval
from competency_gaps.evidence.interval import chi_model_interval, mean_interval
from competency_gaps.evidence.monte_carlo import ItemSample, drawn_tails, sample_of
from competency_gaps.evidence.permutation import permutation_cumulants, permutation_tails
from competency_gaps.evidence.sample import effective_sample
from competency_gaps.evidence.suite import Evidence, evidence, suite_evidence

__all__ = [
    "Evidence",
    "ItemSample",
    "adjusted_gap",
    "chi_model_interval",
    "drawn_tails",
    "effective_sample",
    "evidence",
    "gap_interval",
    "mean_interval",
    "permutation_cumulants",
    "permutation_tails",
    "sample_of",
    "suite_evidence",
]
