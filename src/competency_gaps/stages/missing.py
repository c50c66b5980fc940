"""Are scores missing by themselves, or on hard items and on some concepts' items [ours]?

Answers from which no score can be read are seldom spread evenly. What evidence says is then about the items that are
scored; whether it holds for the others cannot be known from the scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import ItemSample, evidence, untested
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.runs.sample import Outcomes, item_sample, with_outcomes
from competency_gaps.runs.scores import model_scores
from competency_gaps.runs.settings import evidence_config

SURE = 0.05
"""Largest p-value at which missing scores are said to depend on difficulty."""


@dataclass(frozen=True)
class Missing:
    """How items without a score differ from the others of their benchmarks and of about equal length."""

    share: float
    """In [0, 1]: part of the items' scores that are missing."""
    gap: float
    """By how much others score more there, in [-1, 1]; negative: scores are missing on hard items. NaN = too few
    items to tell."""
    low: float
    """Lower end of the gap's 95% interval."""
    high: float
    p_value: float
    concepts: np.ndarray
    """int64: concepts on whose items more, or fewer, scores are missing than elsewhere."""
    tested: int
    """Concepts that could be tested for that."""

    @property
    def with_difficulty(self) -> bool:
        """Whether scores are missing on harder, or on easier, items than elsewhere."""
        return self.p_value <= SURE


def missing_scores(
    sample: ItemSample, lacking: np.ndarray, others: np.ndarray, config: EvidenceConfig, *, eligible: np.ndarray
) -> Missing | None:
    """Measure whether missing scores depend on the items' difficulty and on concepts; None: no score is missing.

    Parameters
    ----------
    sample
        The items, with any outcomes.
    lacking : ndarray of float64 of shape (N,)
        Part of the models that have no score of the item, in [0, 1]; NaN = the item does not count.
    others : ndarray of float64 of shape (N,)
        What others score on the item, on any scale of points; NaN = unknown.
    eligible : ndarray of bool of shape (concepts,)
        Concepts that may be tested; none: they are left out, which is faster.
    """
    share = float(np.nanmean(lacking)) if not np.isnan(lacking).all() else 0.0
    if share == 0:
        return None
    weight = sp.csr_array(np.nan_to_num(lacking)[None])
    where = replace(sample, rows=lambda asked: sp.csr_array(weight[asked]), support=np.array([weight.nnz]))
    difficulty = np.where(np.isnan(lacking), np.nan, others)
    limits = float(np.nanmin(difficulty, initial=0.0)), float(np.nanmax(difficulty, initial=1.0))
    gap = evidence(with_outcomes(where, Outcomes(difficulty, limits)), config)
    # No verdict rests on the concepts: the closed form of the tails will do.
    scored = with_outcomes(sample, Outcomes(1 - lacking))
    concepts = evidence(scored, config, eligible=eligible, groups=False) if eligible.any() else untested(len(eligible))
    return Missing(
        share,
        float(gap.gap[0]),
        float(gap.gap_low[0]),
        float(gap.gap_high[0]),
        float(gap.p_value[0]),
        np.flatnonzero(np.isin(concepts.status, ("weak", "strong"))),
        int((~np.isnan(concepts.p_value)).sum()),
    )


def missing_of_models(run: RunFolder) -> dict[str, Missing]:
    """Measure, for each model that was asked items of which it has no score, whether these are hard for the others.

    The p-values are corrected over the models by Benjamini and Hochberg's method.
    """
    base = open_folder(run.base)
    scores, config = model_scores(base), evidence_config(base)
    sample = item_sample(base.by_concept, base.items, config.strata)
    relative = np.full(scores.values.shape, np.nan)
    for number in np.unique(sample.benchmark):
        place = np.flatnonzero(sample.benchmark == number)
        own = np.ma.masked_invalid(scores.values[:, place])
        relative[:, place] = (own - own.mean(axis=1, keepdims=True)).filled(np.nan)
    measured = {}
    for row, model in enumerate(scores.models):
        others = np.ma.masked_invalid(np.delete(relative, row, axis=0)).mean(axis=0)
        lacking = np.where(scores.asked[row], np.isnan(scores.values[row]), np.nan)
        of_model = missing_scores(
            sample, lacking, np.ma.filled(others, np.nan), config, eligible=np.zeros(sample.concepts, bool)
        )
        if of_model is not None:
            measured[model] = of_model
    tested = [model for model, own in measured.items() if not np.isnan(own.p_value)]
    corrected = false_discovery_control([measured[model].p_value for model in tested]) if tested else []
    return measured | {
        model: replace(measured[model], p_value=float(value)) for model, value in zip(tested, corrected, strict=True)
    }
