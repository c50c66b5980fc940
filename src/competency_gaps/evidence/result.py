"""What evidence says of each concept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STATUSES = ("weak", "strong", "negligible", "typical", "insufficient")


@dataclass(frozen=True)
class Evidence:
    """Intervals, tests and verdicts of each concept's performance. Arrays of shape (concepts,); NaN = undefined.

    Values are in units of the outcome: of scores as stated below, of differences from -1 to 1 and gaps from -2 to 2.
    """

    n_eff: np.ndarray
    """float64, >= 0: effective sample size over the clusters of scored items, in equally weighted clusters."""
    design_effect: np.ndarray
    """float64: variance of T with clusters over its variance with every item by itself; 1 where nothing repeats."""
    chi_model: np.ndarray
    """float64 in [0, 1]: mean outcome of the items that the concept is active in, weighted by CAS."""
    low: np.ndarray
    """float64 in [0, 1]: lower end of chi_model's interval."""
    high: np.ndarray
    gap: np.ndarray
    """float64 in [-1, 1]: the gap net of strata, clusters counted once."""
    gap_low: np.ndarray
    gap_high: np.ndarray
    plain_gap: np.ndarray
    """float64 in [-1, 1]: the items against their benchmarks' means."""
    p_value: np.ndarray
    """float64 in [0, 1], two-sided, of the gap; NaN = not tested."""
    q_value: np.ndarray
    """float64 in [0, 1]: Benjamini-Hochberg over the tested concepts, where those whose interval reaches within
    ``min_gap`` of 0 count as p = 1; NaN = not tested."""
    plain_q: np.ndarray
    """float64 in [0, 1]: Benjamini-Hochberg of the plain gap."""
    detectable: np.ndarray
    """float64: the smallest gap that the test finds with a power of 0.8; NaN = not tested."""
    drawn: np.ndarray
    """bool: the p-value comes from drawn permutations, not from the closed form."""
    status: np.ndarray
    """object (str): weak, strong, negligible (there is a gap, below ``min_gap``), typical,
    insufficient, untested."""
    vanishes: np.ndarray
    """bool: the plain gap is significant, but the gap net of the strata is not (its interval holds 0) and is at most
    half of it."""
    leader: np.ndarray
    """int64: the concept that leads a weak (strong) concept's group, itself if it leads; -1 for all others."""

    def counts(self) -> dict[str, int]:
        """Concepts of each status, and how many were tested and how many of these by drawing."""
        statuses = {name: int((self.status == name).sum()) for name in STATUSES}
        groups = {
            f"{word}_groups": len(np.unique(self.leader[(self.status == word) & (self.leader >= 0)]))
            for word in ("weak", "strong")
        }
        tested, drawn = int((~np.isnan(self.p_value)).sum()), int(self.drawn.sum())
        return {"tested": tested, "drawn": drawn, **statuses, "vanishes": int(self.vanishes.sum()), **groups}
