"""Which concepts go with failure or success: the evidence of a suite and of its benchmarks.

Every concept is tested twice, for failure and for success, and the false-discovery rate is controlled in each of the
two lists (Benjamini and Hochberg, JRSS B 57, 1995).
p-values are weighted by the effective sample, because a concept of few items has little chance of passing (Genovese,
Roeder and Wasserman, Biometrika 93, 2006). The weights depend on activations alone, so the rate is still controlled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr

from competency_gaps.evidence.measure import Measures, measure
from competency_gaps.evidence.permutation import corrected, drawn_tails
from competency_gaps.evidence.sample import Covariate, ItemSample, Units, sample_of

STATUSES = ("failure", "success", "negligible", "typical", "insufficient")


class Thresholds(NamedTuple):
    """When a concept is tested, and when its association counts as real."""

    min_n_eff: float = 20.0
    """Minimum effective sample of a tested concept."""
    q: float = 0.05
    """Maximum q-value of an association that counts as real."""
    level: float = 0.95
    """Nominal coverage of the intervals."""
    min_association: float = 0.01
    """A real association whose absolute value is below this is negligible."""
    seed: int = 0
    """Seed of the random permutations."""


DEFAULTS = Thresholds()


@dataclass(frozen=True)
class Evidence:
    """Intervals, tests and verdicts of each concept's performance. Arrays of shape (concepts,); NaN = undefined.

    Values are in units of the outcome. Ranges are stated for scores; for differences of two scores, chi_model lies in
    [-1, 1] and associations in [-2, 2].
    """

    n_eff: np.ndarray
    """float64, >= 0: effective sample size over the clusters of scored items, in equally weighted clusters."""
    chi_model: np.ndarray
    """float64 in [0, 1]: mean outcome of the items in which the concept is active, weighted by CAS."""
    low: np.ndarray
    """float64 in [0, 1]: lower end of chi_model's interval."""
    high: np.ndarray
    association: np.ndarray
    """float64 in [-1, 1]: association within strata, with clusters counted once."""
    association_low: np.ndarray
    association_high: np.ndarray
    plain_association: np.ndarray
    """float64 in [-1, 1]: association of items against their benchmarks' means, without strata or clusters."""
    p_value: np.ndarray
    """float64 in [0, 1]: two-sided p-value of the association; NaN = not tested."""
    q_value: np.ndarray
    """float64 in [0, 1]: false-discovery rate among the concepts on the same side (failure or success) with the same or
    a smaller q-value; NaN = not tested."""
    status: np.ndarray
    """object (str): ``failure`` or ``success`` (the concept goes with it), ``negligible`` (the association is real but
    smaller than ``min_association``), ``typical`` (not significant), ``insufficient`` (``n_eff`` too small),
    ``untested``."""

    def counts(self) -> dict[str, int]:
        """Return how many concepts were tested (``tested``), and how many have each status."""
        statuses = {name: int((self.status == name).sum()) for name in STATUSES}
        return {"tested": int((~np.isnan(self.p_value)).sum()), **statuses}


def evidence(
    sample: ItemSample,
    thresholds: Thresholds = DEFAULTS,
    *,
    eligible: np.ndarray | None = None,
    draw: bool = True,
) -> Evidence:
    """Return the evidence of every concept over the benchmarks of a sample.

    A concept is tested if it is eligible, its ``n_eff`` reaches the minimum, and both its weights and the outcomes vary
    within some block (a benchmark of constant score says nothing about its concepts).

    Parameters
    ----------
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested; None: all.
    draw
        Whether to simulate p-values where the closed form is poor; False is faster, for resamples.
    """
    units, measures, _, _ = measure(sample, thresholds.level, single=False)
    return judge(measures, sample, thresholds, eligible, units if draw else None)


def evidence_by_benchmark(
    sample: ItemSample, thresholds: Thresholds = DEFAULTS, *, eligible: np.ndarray | None = None
) -> tuple[Evidence, dict[int, Evidence]]:
    """Return the evidence of a suite and of each of its benchmarks, reading the concepts' rows once.

    Returns
    -------
    suite : Evidence
        As from :func:`evidence`.
    single : dict of int to Evidence
        By number of the benchmark, those without a scored item included.
    """
    units, whole, within, single = measure(sample, thresholds.level, single=True)
    by_benchmark = {
        number: judge(measures, sample, thresholds, eligible, within, within.benchmark == number)
        for number, measures in single.items()
    }
    return judge(whole, sample, thresholds, eligible, units), by_benchmark


def judge(
    m: Measures,
    sample: ItemSample,
    thresholds: Thresholds,
    eligible: np.ndarray | None,
    units: Units | None,
    chosen: np.ndarray | None = None,
) -> Evidence:
    """Return evidence with p-values, q-values and verdicts, from measures.

    Parameters
    ----------
    units
        Units from which p-values are simulated where the closed form is poor; None: none is.
    chosen : ndarray of bool of shape (K,), optional
        Units to use; None: all.
    """
    lowest, scale = sample.limits[0], sample.scale
    able = np.ones(len(m.association), bool) if eligible is None else eligible
    tested = able & (m.n_eff >= thresholds.min_n_eff) & ~np.isnan(m.low)
    if units is not None:
        m = _refined(m, tested, sample, units, thresholds.seed, chosen)
    p_value = np.where(tested, np.minimum(1.0, 2 * np.fmin(m.low, m.high)), np.nan)
    q_value = np.full(len(m.association), np.nan)
    q_value[tested] = q_values(m.low[tested], m.high[tested], m.association[tested], m.n_eff[tested])
    status = np.full(len(m.association), "untested", dtype=object)
    status[able & m.active & (m.n_eff < thresholds.min_n_eff)] = "insufficient"
    status[tested] = "typical"
    with np.errstate(invalid="ignore"):
        real, sizeable = tested & (q_value <= thresholds.q), scale * np.abs(m.association) >= thresholds.min_association
        status[real & ~sizeable] = "negligible"
        status[real & sizeable] = np.where(m.association[real & sizeable] < 0, "failure", "success")
    chi, chi_low, chi_high = (lowest + scale * level for level in (m.chi_model, m.chi_low, m.chi_high))
    associations = (m.association, m.association_low, m.association_high, m.plain_association)
    association, low, high, plain = (scale * value for value in associations)
    return Evidence(m.n_eff, chi, chi_low, chi_high, association, low, high, plain, p_value, q_value, status)


def q_values(low: np.ndarray, high: np.ndarray, association: np.ndarray, n_eff: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's q-values of each concept on its side, with p-values divided by weights of mean 1.

    Parameters
    ----------
    low, high, association, n_eff : ndarray of float64 of shape (K,)
        Both tails, the association, whose sign decides the side, and the effective sample.

    Returns
    -------
    ndarray of float64 of shape (K,), in [0, 1]
    """
    if not len(association):
        return np.zeros(0)
    weight = n_eff / n_eff.mean()
    failure, success = (corrected(np.minimum(1.0, tail / weight)) for tail in (low, high))
    return np.where(association < 0, failure, success)


MAX_SKEWNESS = 0.25
"""If |skewness| of T is above this, the closed form is poor in the shorter tail."""
MAX_REFINED_TAIL = 0.1
"""Shorter tails above this are not refined by simulation."""
MIN_EXTREME_DRAWS = 10
"""Minimum number of draws as extreme as T for their share to be used as the tail."""


def _refined(
    m: Measures, tested: np.ndarray, sample: ItemSample, units: Units, seed: int, chosen: np.ndarray | None
) -> Measures:
    """Return measures with simulated tails for tested concepts whose T is skewed.

    There a Pearson curve ends before the true shorter tail does. If hardly any draw is as extreme as T, the larger of
    the normal and the closed-form tail is used: in the shorter tail, the normal one is conservative.
    """
    with np.errstate(invalid="ignore"):
        shorter = np.where(m.skewness > 0, m.low, m.high)
        asked = np.flatnonzero(tested & (np.abs(m.skewness) > MAX_SKEWNESS) & (shorter < MAX_REFINED_TAIL))
    if not len(asked):
        return m
    part = np.arange(len(units.outcome)) if chosen is None else np.flatnonzero(chosen)
    weights = sp.csr_array(units.rows(sample.rows(asked))[:, part])
    *drawn, draws = drawn_tails(weights, units.outcome[part], units.block[part], seed)
    low, high = m.low.copy(), m.high.copy()
    short_is_low = m.skewness[asked] > 0
    for tail, of_draws, z, short in (
        (low, drawn[0], m.z[asked], short_is_low),
        (high, drawn[1], -m.z[asked], ~short_is_low),
    ):
        safe = np.minimum(of_draws, np.maximum(tail[asked], ndtr(z)))
        tail[asked] = np.where(short & (of_draws < MIN_EXTREME_DRAWS / (1 + draws)), safe, of_draws)
    return replace(m, low=low, high=high)


def measure_evidence(
    cas: sp.csr_array,
    outcomes: np.ndarray,
    benchmarks: np.ndarray,
    *,
    cluster: np.ndarray | None = None,
    repeats: np.ndarray | None = None,
    covariates: Sequence[Covariate] = (),
    thresholds: Thresholds = DEFAULTS,
    eligible: np.ndarray | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Evidence:
    """Return the evidence of every concept over a suite, from plain arrays.

    Parameters
    ----------
    cas : csr_array of shape (items, concepts)
        CAS, >= 0.
    outcomes : ndarray of float of shape (items,)
        Scores, or other outcomes within ``limits``; NaN = unscored.
    benchmarks : ndarray of shape (items,)
        Benchmark of each item: names or numbers.
    cluster : ndarray of int of shape (items,), optional
        Items of the same number form a cluster, which counts once; None: every item is its own cluster.
    repeats : ndarray of bool of shape (items,), optional
        Whether the item's cluster repeats one text; None: no cluster does.
    covariates
        Covariates to stratify the items by; none: items are compared with all others of their benchmark.
    thresholds
        When a concept is tested, and when its association counts as real.
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested; None: all.
    limits
        Lowest and highest possible outcome: 0 and 1 for scores, -1 and 1 for differences of two scores.

    Returns
    -------
    Evidence
        Arrays of shape (concepts,).

    Raises
    ------
    ValueError
        If the lengths differ, there are no items, or a value is out of its range.

    Examples
    --------
    Items with the first concept are right in 40 of 100 cases, all others in 80.

    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> rng = np.random.default_rng(1)
    >>> active = rng.random((600, 3)) < 0.3
    >>> scores = (rng.random(600) < np.where(active[:, 0], 0.4, 0.8)).astype(float)
    >>> found = measure_evidence(sp.csr_array(active.astype(float)), scores, np.repeat("arithmetic", 600))
    >>> found.status.tolist()
    ['failure', 'typical', 'typical']
    """
    cas, outcomes = sp.csr_array(cas), np.asarray(outcomes, np.float64)
    if not len(benchmarks) == len(outcomes) == cas.shape[0] > 0:
        shapes = f"{cas.shape[0]} CAS rows, {len(outcomes)} scores and {len(benchmarks)} benchmark ids"
        raise ValueError(f"{shapes}: there must be one of each per item, and at least one item")
    if (outcomes < limits[0]).any() or (outcomes > limits[1]).any():
        raise ValueError(f"scores must lie in [{limits[0]:g}, {limits[1]:g}] or be NaN where unscored")
    if cas.nnz and not (cas.data.min() >= 0 and np.isfinite(cas.data.max())):
        raise ValueError("concept activation scores must be finite and at least 0")
    _, numbers = np.unique(np.asarray(benchmarks), return_inverse=True)
    sample = sample_of(cas, outcomes, numbers, cluster=cluster, covariates=covariates, repeats=repeats, limits=limits)
    return evidence(sample, thresholds, eligible=eligible)
