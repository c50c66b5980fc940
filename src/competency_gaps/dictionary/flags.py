"""Flag concepts that do not stand for a competency [ours]; by default, rankings leave them out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_SUPPORT = 5
"""Fewest items in which a concept must be active to be flagged as firing on one token; in a single item every concept
does."""


@dataclass(frozen=True)
class LatentFacts:
    """Each latent's behaviour over tokens. Arrays of shape (concepts,)."""

    density: np.ndarray
    """Share of tokens on which it is active, in [0, 1]."""
    template_share: np.ndarray
    """Share of its mass on template and boundary tokens, in [0, 1]; NaN where it is silent."""
    token_share: np.ndarray
    """Share of its mass on its most frequent token string (a lower bound), in [0, 1]; NaN where it is silent."""
    token: list[str | None]
    """That token string."""


@dataclass(frozen=True)
class Flags:
    """Boolean columns of shape (concepts,)."""

    dense: np.ndarray
    """Active on more than a share (default 10%) of the tokens."""
    template: np.ndarray
    """Most of its mass lies on template or boundary tokens."""
    exact_token: np.ndarray
    """Fires on one token string."""

    def any(self) -> np.ndarray:
        """Flagged in any way."""
        return self.dense | self.template | self.exact_token


def flag(facts: LatentFacts, *, dense_above: float, template_above: float, exact_token_above: float) -> Flags:
    """Set the flags from facts and thresholds; NaN sets none."""
    with np.errstate(invalid="ignore"):
        return Flags(
            dense=facts.density > dense_above,
            template=facts.template_share > template_above,
            exact_token=facts.token_share >= exact_token_above,
        )
