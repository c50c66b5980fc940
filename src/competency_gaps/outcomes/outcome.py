"""What evidence asks of an item: one number, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["score", "peers", "difference", "parsed"]


@dataclass(frozen=True)
class Outcome:
    """One number per item. N items.

    ``score`` is how well the model did; ``peers`` is its score less what models of its level make of the item;
    ``difference`` is its score less another model's; ``parsed`` is 1 where an answer got a score and 0 where none could
    be read from it.
    """

    kind: Kind
    model: str
    """Name of the model that was scored."""
    values: np.ndarray
    """float64 of shape (N,); NaN = unscored."""
    against: tuple[str, ...] = ()
    """The peers, or the other model; empty for a score."""

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value that is possible: 0 and 1 for scores, else symmetric about 0."""
        if self.kind in ("score", "parsed"):
            return 0.0, 1.0
        largest = float(np.nanmax(np.abs(self.values), initial=1.0))
        return -largest, largest


def difference(first: Outcome, second: Outcome) -> Outcome:
    """``s_A(x) - s_B(x)`` of two scores on the same items; unscored where either is."""
    return Outcome("difference", first.model, first.values - second.values, (second.model,))
