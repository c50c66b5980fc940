"""Ways to control a gap for length and repeats: as shipped, none, by fifths of length, and by splines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.interpolate import BSpline
from scipy.stats import false_discovery_control
from worlds import ranks, within

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence import (
    Covariate,
    Evidence,
    ItemSample,
    Outcomes,
    adjusted_gap,
    block_sums,
    effective_sample,
    evidence,
    gap_interval,
    permutation_tails,
    units_of,
)
from competency_gaps.evidence.sums import BlockSums

CONFIG = EvidenceConfig()
FREEDOM = (4, 6)
"""Degrees of freedom of the splines that are compared."""


def samples(sample: ItemSample) -> dict[str, ItemSample]:
    """The sample for each control; lengths are the first covariate."""
    length = sample.covariates[0]
    fifth = np.floor(5 * within(length.values, sample.benchmark, ranks))
    fifths = Covariate("length", fifth, ("first", "second", "third", "fourth", "fifth"))
    made = {
        "net": replace(sample, covariates=(length,)),
        "clusters only": replace(sample, covariates=()),
        "no control": replace(sample, covariates=(), cluster=None, repeats=None),
        "fifths": replace(sample, covariates=(fifths,)),
    }
    if len(sample.covariates) > 1:
        made["net of all"] = sample
    return made


def judge(sample: ItemSample, eligible: np.ndarray, *, whole: bool) -> Evidence:
    """Compute the evidence.

    Parameters
    ----------
    whole
        As shipped, with drawn p-values and leaders. Sampling only replaces closed-form p-values that are too small: if
        these list no weak concept, nothing is drawn.
    """
    found = evidence(sample, CONFIG, eligible=eligible, groups=False)
    if whole and (found.status == "weak").any():
        return evidence(sample, CONFIG, eligible=eligible)
    return found


def net_gap(sample: ItemSample, rows: sp.csr_array, values: np.ndarray) -> np.ndarray:
    """Gap in arbitrary values of the items, net of the sample's clusters and strata: float64 of shape (len(rows),).

    Parameters
    ----------
    rows : csr_array of shape (asked, items)
        Weights: CAS of concepts, or 1 for the items that a rival selects.
    """
    units = units_of(sample)
    kept = np.flatnonzero(units.unit >= 0)
    mean = np.bincount(units.unit[kept], values[kept]) / np.bincount(units.unit[kept])
    mean -= (np.bincount(units.block, mean) / np.bincount(units.block))[units.block]
    weights = units.rows(rows)
    total = np.asarray(weights.sum(axis=1)).ravel()
    return np.divide(np.asarray(weights @ mean), total, out=np.zeros(len(total)), where=total > 0)


def judge_by_spline(cas: sp.csr_array, sample: ItemSample, eligible: np.ndarray, freedom: int) -> np.ndarray:
    """Weak concepts by permuting the residuals of a spline of length within each benchmark, in closed form."""
    sums = spline_sums(cas, sample, freedom)
    weight, squares = sums.total(sums.weight), sums.total(sums.weight2)
    tails = permutation_tails(sums)
    tested = eligible & (effective_sample(weight, squares) >= CONFIG.min_n_eff) & ~np.isnan(tails.low)
    gap = adjusted_gap(sums)
    low, high = gap_interval(sums, CONFIG.level)
    with np.errstate(invalid="ignore"):
        sizeable = (high < -CONFIG.min_gap) | (low > CONFIG.min_gap)
    p_value = np.where(sizeable, np.minimum(1.0, 2 * np.fmin(tails.low, tails.high)), 1.0)
    q_value = np.ones(len(gap))
    if tested.any():
        q_value[tested] = false_discovery_control(p_value[tested])
    return np.flatnonzero((q_value <= CONFIG.q) & (gap < 0))


def spline_sums(cas: sp.csr_array, sample: ItemSample, freedom: int) -> BlockSums:
    """Sums per benchmark of outcomes minus a cubic B-spline of log length, fitted to each benchmark.

    Parameters
    ----------
    cas : csr_array of shape (items, concepts)
    """
    units = units_of(replace(sample, covariates=()))
    kept = np.flatnonzero(units.unit >= 0)
    length = np.bincount(units.unit[kept], sample.covariates[0].values[kept]) / np.bincount(units.unit[kept])
    left = units.outcome.copy()
    for number in np.unique(units.benchmark):
        own = np.flatnonzero(units.benchmark == number)
        basis = _basis(np.log(length[own]), min(freedom, len(own) // 15))
        fitted = basis @ np.linalg.lstsq(basis, left[own], rcond=None)[0]
        # Residuals vary less than outcomes: they are rescaled, and the benchmark's mean is added.
        used = np.linalg.matrix_rank(basis)
        left[own] = left[own].mean() + (left[own] - fitted) * np.sqrt((len(own) - 1) / max(1, len(own) - used))
    return block_sums(units.rows(sp.csr_array(cas.T)), Outcomes.of(left, units.block, len(units.block_benchmark)))


def _basis(value: np.ndarray, freedom: int) -> np.ndarray:
    """Basis of a B-spline, including the constant; of lower degree if there are few values."""
    freedom = min(freedom, len(np.unique(value)) - 1)
    if freedom < 1:
        return np.ones((len(value), 1))
    degree = min(3, freedom)
    inner = np.quantile(value, np.arange(1, freedom - degree + 1) / (freedom - degree + 1))
    ends = value.min(), value.max()
    knots = np.r_[[ends[0]] * (degree + 1), inner, [ends[1]] * (degree + 1)]
    return np.asarray(BSpline.design_matrix(value, knots, degree).toarray())
