"""Verdicts from measurements: q-values, statuses, and which concept leads those that share its items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.groups import lead
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.measure import Measures
from competency_gaps.evidence.refine import Refined, testable
from competency_gaps.evidence.result import Evidence
from competency_gaps.evidence.units import ItemSample, Units

POWER = 0.8
"""Power at which a gap counts as detectable."""


def judge(
    tails: Refined,
    sample: ItemSample,
    units: Units,
    config: EvidenceConfig,
    eligible: np.ndarray | None,
    *,
    groups: bool,
    chosen: np.ndarray | None = None,
) -> Evidence:
    """Give q-values, verdicts and leaders; ``chosen``: units that take part (None: all)."""
    m, drawn = tails
    config = config.model_copy(update={"min_gap": config.min_gap / sample.scale})
    able = np.ones(sample.concepts, bool) if eligible is None else eligible
    tested = testable(m, config, eligible)
    part = np.arange(len(units.outcome)) if chosen is None else np.flatnonzero(chosen)
    outcome, block = units.outcome[part], units.block[part]

    def weights(concepts: np.ndarray) -> sp.csr_array:
        return sp.csr_array(units.rows(sample.rows(concepts))[:, part])

    p_value = np.where(tested, np.minimum(1.0, 2 * np.fmin(m.low, m.high)), np.nan)
    with np.errstate(invalid="ignore"):
        sizeable = (m.gap_high < -config.min_gap) | (m.gap_low > config.min_gap)
    # Raising a p-value keeps it valid, so the false-discovery rate holds for the remaining ones.
    q_value = _q_values(np.where(sizeable, p_value, 1.0), tested)
    zero_q, plain_q = _q_values(p_value, tested), _q_values(m.plain_p, tested)
    status = _status(m, q_value, zero_q, able, config)
    real = np.isin(status, ["weak", "strong"])
    with np.errstate(invalid="ignore"):
        none_left = (m.gap_low <= 0) & (m.gap_high >= 0) & (np.abs(m.gap) <= 0.5 * np.abs(m.plain_gap))
    vanishes = tested & (status == "typical") & none_left & (np.nan_to_num(plain_q, nan=1.0) <= config.q)
    leader = np.full(len(m.gap), -1)
    for word, sign in (("weak", -1), ("strong", 1)) if groups else ():
        asked = np.flatnonzero(status == word)
        if len(asked):

            def rows(places: np.ndarray, asked: np.ndarray = asked) -> sp.csr_array:
                return weights(asked[places])

            leader[asked] = asked[lead(rows, sample.support[asked], outcome[None], block, p_value[asked], sign)]
    lowest, scale = sample.limits[0], sample.scale
    return Evidence(
        m.n_eff,
        m.design_effect,
        lowest + scale * m.chi_model,
        lowest + scale * m.chi_low,
        lowest + scale * m.chi_high,
        scale * m.gap,
        scale * m.gap_low,
        scale * m.gap_high,
        scale * m.plain_gap,
        p_value,
        q_value,
        plain_q,
        scale * _detectable(m, real, tested, config),
        drawn,
        status,
        vanishes,
        leader,
    )


def _q_values(p_value: np.ndarray, tested: np.ndarray) -> np.ndarray:
    q_value = np.full(len(p_value), np.nan)
    known = tested & ~np.isnan(p_value)
    if known.any():
        q_value[known] = false_discovery_control(p_value[known])
    return q_value


def _status(
    m: Measures, q_value: np.ndarray, zero_q: np.ndarray, able: np.ndarray, config: EvidenceConfig
) -> np.ndarray:
    status = np.full(len(m.gap), "untested", dtype=object)
    status[able & m.active & (m.n_eff < config.min_n_eff)] = "insufficient"
    tested = ~np.isnan(q_value)
    status[tested] = "typical"
    with np.errstate(invalid="ignore"):
        status[tested & (zero_q <= config.q) & (np.abs(m.gap) < config.min_gap)] = "negligible"
        real = tested & (q_value <= config.q)
    status[real & (m.gap < 0)] = "weak"
    status[real & (m.gap > 0)] = "strong"
    return status


def _detectable(m: Measures, real: np.ndarray, tested: np.ndarray, config: EvidenceConfig) -> np.ndarray:
    """Give the gap found with probability ``POWER``: ``(z of the threshold + z of the power) deviation / sum w``.

    The threshold is Benjamini and Hochberg's: ``q k / tested`` for k weak or strong concepts, k at least 1. The
    interval must lie beyond ``min_gap`` as well.
    """
    if not tested.any():
        return np.full(len(m.gap), np.nan)
    threshold = config.q * max(1, int(real.sum())) / tested.sum()
    spread = np.divide(m.deviation, m.weight, out=np.full(len(m.gap), np.nan), where=m.weight > 0)
    by_test = (-ndtri(threshold / 2) + ndtri(POWER)) * spread
    by_size = config.min_gap + (quantile(config.level) + ndtri(POWER)) * spread
    return np.where(tested, np.maximum(by_test, by_size), np.nan)
