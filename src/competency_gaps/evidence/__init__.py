"""Evidence that a gap is no accident: the sample behind a concept's score.

Intervals, adjusted gaps, p- and q-values belong here; they read the same :class:`~competency_gaps.metrics.Sums`.
"""

from competency_gaps.evidence.sample import effective_sample

__all__ = ["effective_sample"]
