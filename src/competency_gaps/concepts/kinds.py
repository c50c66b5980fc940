"""Kinds of concepts: those that may stand for a competency, and those that surely do not [ours]."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from competency_gaps.items.config.run import EvidenceConfig, MetricsConfig
    from competency_gaps.sae.reference import Reference

CONTEXTUAL = "contextual"
"""The kind of concepts that are of no other kind: topics, skills and ways of talking among them."""
KINDS = (CONTEXTUAL, "mixed", "token", "format", "position", "template", "dense")
MIN_SUPPORT = 5
"""Minimum number of items with a concept for a run to conclude that it fires on one token only: in a single item,
every concept seems to."""


@dataclass(frozen=True)
class LatentFacts:
    """Statistics of each latent over tokens, which determine its kind. Arrays of shape (concepts,); NaN = unknown."""

    density: np.ndarray
    """Share of tokens on which it is active, in [0, 1]."""
    template_share: np.ndarray
    """Share of its mass on template and boundary tokens, in [0, 1]."""
    token_share: np.ndarray
    """Share of its mass on its most frequent token string (a lower bound), in [0, 1]."""
    token: list[str | None]
    """That token string."""
    lexical_share: np.ndarray
    """Share of its activation's variance that the current token explains, at most about 1."""
    pair_share: np.ndarray
    """Share that the previous and the current token explain together, likewise."""
    word_share: np.ndarray
    """For an SAE of averages: share of its mass on stretches with the same token, beyond chance; at most 1."""
    format_share: np.ndarray
    """Share of its mass on punctuation, white space, digits and markup, in [0, 1]."""
    first_share: np.ndarray
    """Share of its mass on the first tokens of texts, in [0, 1]."""
    coherence: np.ndarray
    """How alike in meaning its strongest windows of text are, at most 1."""

    @classmethod
    def of_reference(cls, reference: Reference) -> LatentFacts:
        """Return the statistics of a reference alone, without those of a run."""
        return cls(**{field.name: getattr(reference, field.name) for field in fields(cls)})

    @classmethod
    def of_sample(cls, density: np.ndarray, template_share: np.ndarray) -> LatentFacts:
        """Return the two statistics that a sample of tokens gives; all others are unknown."""
        unknown = np.full(len(density), np.nan)
        return cls(density, template_share, unknown, [None] * len(density), *[unknown] * 6)


def kinds_of(facts: LatentFacts, settings: MetricsConfig) -> np.ndarray:
    """Return each concept's kind, from its statistics and the thresholds.

    Returns
    -------
    ndarray of object (str or None) of shape (concepts,)
        The last of ``KINDS`` that applies; None: no reference has the concept's statistics.
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
    """Return how many alive concepts are of each kind.

    Null counts as ``unknown``; kinds without concepts are absent.
    """
    counts = dict(concepts.filter("alive")["kind"].fill_null("unknown").value_counts().iter_rows())
    return {kind: counts[kind] for kind in (*KINDS, "unknown") if kind in counts}


def ranked(concepts: pl.DataFrame, config: EvidenceConfig) -> pl.Series:
    """Return which concepts are ranked, by their columns ``alive`` and ``kind``: a bool column."""
    if config.kinds == "all":
        return concepts["alive"].alias("ranked")
    return concepts.select(ranked=pl.col("alive") & (pl.col("kind").fill_null(CONTEXTUAL) == CONTEXTUAL))["ranked"]
