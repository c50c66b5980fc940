"""Adversarial ablation [paper]: does chi_model change if the items most aligned with concepts are removed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from competency_gaps.robustness.data import RunData

SHARE = 0.01
CONCEPTS = 100
RANDOM = 50


@dataclass(frozen=True)
class Removal:
    """Effect of removing the items most aligned with some concepts on the median chi_model."""

    concepts: int
    items: int
    """Items removed: fewer than 1% of the scored items, but at least one."""
    change: float
    """Change of the median chi_model over concepts."""
    random_low: float
    """2.5% quantile of the change when as many random items are removed."""
    random_high: float
    """97.5% quantile."""

    @property
    def outside(self) -> bool:
        """Whether the change lies outside the range for random items."""
        return not self.random_low <= self.change <= self.random_high


@dataclass(frozen=True)
class Ablation:
    """Both removals: of the best concepts' items, which should lower chi_model, and of the worst concepts' items."""

    best: Removal
    worst: Removal


def ablate(data: RunData, *, seed: int = 0) -> Ablation:
    """Remove the items most aligned with the 100 best and the 100 worst tested concepts, by chi_model.

    An item's alignment [ours] is the sum of its saliencies (nCAS) of these concepts.
    """
    before = data.chi_model()
    places = np.flatnonzero(data.tested)
    order = np.argsort(before[places], kind="stable")
    count = min(CONCEPTS, len(places) // 2)
    saliency = data.saliency()
    scored = ~np.isnan(data.scores)
    removed = max(1, int(np.ceil(SHARE * scored.sum())) - 1)
    rng = np.random.default_rng(seed)
    median = float(np.nanmedian(before[data.ranked]))

    def change(items: np.ndarray) -> float:
        kept = np.ones(len(scored), bool)
        kept[items] = False
        return float(np.nanmedian(data.of_items(data.split(kept)).chi_model()[data.ranked])) - median

    chance = [change(rng.choice(np.flatnonzero(scored), removed, replace=False)) for _ in range(RANDOM)]
    low, high = np.quantile(chance, [0.025, 0.975])
    removals = []
    for chosen in (order[::-1][:count], order[:count]):
        alignment = np.where(scored, np.asarray(saliency[:, chosen].sum(axis=1)).ravel(), -1.0)
        items = np.argsort(-alignment, kind="stable")[:removed]
        removals.append(Removal(count, removed, change(items), float(low), float(high)))
    return Ablation(*removals)
