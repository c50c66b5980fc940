"""Evidence that a gap is neither an accident nor the work of repeats or length.

:func:`evidence` gathers it from an :class:`ItemSample`, :func:`measure_evidence` from plain arrays. Items form units
(clusters) in blocks (strata of benchmarks), all figures are functions of sums over these, and outcomes are permuted
within blocks.
"""

from competency_gaps.evidence.flips import Paired, paired_differences
from competency_gaps.evidence.interval import adjusted_gap, gap_interval
from competency_gaps.evidence.permutation import (
    corrected,
    drawn_tails,
    pearson_tail,
    permutation_cumulants,
    permutation_tails,
)
from competency_gaps.evidence.sample import Covariate, ItemSample, Units, sample_of, shares, units_of
from competency_gaps.evidence.suite import (
    Evidence,
    evidence,
    evidence_by_benchmark,
    measure_evidence,
    q_values,
    untested,
)
from competency_gaps.evidence.sums import block_sums, effective_sample

__all__ = [
    "Covariate",
    "Evidence",
    "ItemSample",
    "Paired",
    "Units",
    "adjusted_gap",
    "block_sums",
    "corrected",
    "drawn_tails",
    "effective_sample",
    "evidence",
    "evidence_by_benchmark",
    "gap_interval",
    "measure_evidence",
    "paired_differences",
    "pearson_tail",
    "permutation_cumulants",
    "permutation_tails",
    "q_values",
    "sample_of",
    "shares",
    "units_of",
    "untested",
]
