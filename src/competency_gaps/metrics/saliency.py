"""nCAS: a concept's activation in an item as a saliency in [0, 1), comparable between concepts."""

from __future__ import annotations

import numpy as np


def typical_cas(cas_sum: np.ndarray, support: np.ndarray) -> np.ndarray:
    """``tau_c``: mean of the non-zero CAS of each concept; NaN where it is never active."""
    return np.divide(cas_sum, support, out=np.full(len(cas_sum), np.nan), where=support > 0)


def saliency(cas: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """``nCAS(c, x) = 2 * sigmoid(CAS(c, x) / tau_c) - 1`` [the article's form].

    0 when absent, about 0.46 at a typical activation, towards 1 when strong. ``2 sigmoid(x) - 1 = tanh(x / 2)``.
    """
    return np.tanh(np.asarray(cas, dtype=np.float64) / (2 * np.asarray(tau, dtype=np.float64)))
