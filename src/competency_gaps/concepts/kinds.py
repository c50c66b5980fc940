"""What kind of concept each one is: whether it may stand for a competency, or surely does not [ours]."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from competency_gaps.items.config.run import EvidenceConfig, MetricsConfig
    from competency_gaps.sae.reference import Reference

CONTEXTUAL = "contextual"
"""What is left when a concept is of none of the other kinds; topics, skills and ways of talking are among these."""
KINDS = (CONTEXTUAL, "mixed", "token", "format", "position", "template", "dense")
MIN_SUPPORT = 5
"""Fewest items in which a concept must be active for a run to tell that it fires on one token; in a single item every
concept does."""


@dataclass(frozen=True)
class LatentFacts:
    """Each latent's behaviour over tokens, which tells its kind. Arrays of shape (concepts,); NaN = not known."""

    density: np.ndarray
    """Share of tokens on which it is active, in [0, 1]."""
    template_share: np.ndarray
    """Share of its mass on template and boundary tokens, in [0, 1]."""
    token_share: np.ndarray
    """Share of its mass on its most frequent token string (a lower bound), in [0, 1]."""
    token: list[str | None]
    """That token string."""
    lexical_share: np.ndarray
    """Share of its activation's variance that the token explains, at most about 1."""
    pair_share: np.ndarray
    """The same that the token before and the token explain."""
    word_share: np.ndarray
    """Of an SAE of averages: share of its mass on stretches that hold the same token, beyond chance; at most 1."""
    format_share: np.ndarray
    """Share of its mass on punctuation, white space, digits and markup, in [0, 1]."""
    first_share: np.ndarray
    """Share of its mass on the first tokens of texts, in [0, 1]."""
    coherence: np.ndarray
    """How alike in meaning its strongest windows of text are, at most 1."""

    @classmethod
    def of_reference(cls, reference: Reference) -> LatentFacts:
        """Facts of a reference alone, without those of a run."""
        return cls(**{field.name: getattr(reference, field.name) for field in fields(cls)})

    @classmethod
    def of_sample(cls, density: np.ndarray, template_share: np.ndarray) -> LatentFacts:
        """Facts of a sample of tokens that was read for these two alone."""
        unknown = np.full(len(density), np.nan)
        return cls(density, template_share, unknown, [None] * len(density), *[unknown] * 6)


def kinds_of(facts: LatentFacts, settings: MetricsConfig) -> np.ndarray:
    """Tell kinds from facts and thresholds.

    Returns
    -------
    ndarray of object (str or None) of shape (concepts,)
        One of ``KINDS``, the last of them that holds; None: no reference says how the concept goes with tokens.
    """
    kind = np.full(len(facts.density), None, dtype=object)
    kind[~np.isnan(facts.lexical_share) | ~np.isnan(facts.word_share)] = CONTEXTUAL
    with np.errstate(invalid="ignore"):
        kind[(kind == CONTEXTUAL) & (facts.coherence < settings.mixed_below)] = "mixed"
        kind[facts.lexical_share > settings.lexical_above] = "token"
        kind[facts.pair_share > settings.pair_above] = "token"
        kind[facts.word_share > settings.word_above] = "token"
        kind[facts.token_share >= settings.exact_token_above] = "token"
        averages = ~np.isnan(facts.word_share)
        most = np.where(averages, settings.stretch_format_above, settings.format_above)
        kind[facts.format_share > most] = "format"
        kind[facts.first_share > settings.position_above] = "position"
        kind[facts.template_share > settings.template_above] = "template"
        kind[facts.density > settings.dense_above] = "dense"
    return kind


def kind_counts(concepts: pl.DataFrame) -> dict[str, int]:
    """Count concepts of each kind, those with the column ``kind`` null under ``unknown``; kinds without any are absent.

    Concepts that are not alive are not counted.
    """
    counts = dict(concepts.filter("alive")["kind"].fill_null("unknown").value_counts().iter_rows())
    return {kind: counts[kind] for kind in (*KINDS, "unknown") if kind in counts}


def ranked(concepts: pl.DataFrame, config: EvidenceConfig) -> pl.Series:
    """Tell which concepts are ranked, by their columns ``alive`` and ``kind``."""
    if config.kinds == "all":
        return concepts["alive"].alias("ranked")
    return concepts.select(ranked=pl.col("alive") & (pl.col("kind").fill_null(CONTEXTUAL) == CONTEXTUAL))["ranked"]
