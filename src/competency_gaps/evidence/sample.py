"""How much data stands behind a concept's score [ours]."""

from __future__ import annotations

import numpy as np

from competency_gaps.metrics.sums import Sums


def effective_sample(sums: Sums) -> np.ndarray:
    """``n_eff(c, b) = (sum w)^2 / sum w^2`` over scored items, with ``w = CAS(c, x)``.

    Returns
    -------
    ndarray of float64 of shape (concepts,)
        Between 1 and the number of scored items in which the concept is active; 0 where there are none.
    """
    out = np.zeros(len(sums.weight))
    return np.divide(sums.weight**2, sums.weight2, out=out, where=sums.weight2 > 0)
