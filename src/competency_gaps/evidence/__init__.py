"""Evidence that an association is not due to chance, repeated items or length.

:func:`evidence` computes it from an :class:`ItemSample`, :func:`measure_evidence` from plain arrays. Items form units
(clusters) in blocks (strata of benchmarks), every figure is a function of sums over these, and outcomes are permuted
within blocks.
"""

from competency_gaps.evidence.flips import Paired, paired_differences
from competency_gaps.evidence.permutation import corrected
from competency_gaps.evidence.sample import Covariate, ItemSample, Units, sample_of, shares, units_of
from competency_gaps.evidence.suite import Evidence, Thresholds, evidence, evidence_by_benchmark, measure_evidence
