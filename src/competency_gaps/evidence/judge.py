"""Verdicts from measurements: refined tails, q-values, statuses, and which concept leads those that share its items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtr, ndtri

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.measure import Measures
from competency_gaps.evidence.permutation import shared_tails
from competency_gaps.evidence.sample import ItemSample, Units
from competency_gaps.metrics.suite import saliency

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


SKEWED = 0.25
"""Skewness of T above which the closed form is poor in the shorter tail."""
REACHED = 10
"""Fewest draws as extreme as T for their share to be used as the tail."""
CANDIDATE = 0.2
"""p-values above this are not refined by sampling."""


class Refined(NamedTuple):
    """Measures with the tails that count."""

    measures: Measures
    drawn: np.ndarray
    """bool of shape (concepts,): the tails come from drawn permutations."""


def closed_forms(measures: Sequence[Measures]) -> list[Refined]:
    """Leave all tails as they are."""
    return [Refined(own, np.zeros(len(own.low), bool)) for own in measures]


def testable(m: Measures, config: EvidenceConfig, eligible: np.ndarray | None) -> np.ndarray:
    """Whether each concept is tested: bool of shape (concepts,)."""
    enough = (m.n_eff >= config.min_n_eff) & ~np.isnan(m.low)
    return enough if eligible is None else enough & eligible


def refined(
    sample: ItemSample,
    units: Sequence[Units],
    measures: Sequence[Measures],
    config: EvidenceConfig,
    eligible: np.ndarray | None,
    chosen: np.ndarray | None = None,
) -> list[Refined]:
    """Draw the tails of tested concepts whose closed form is poor, for outcomes of the same scored items.

    Parameters
    ----------
    units, measures
        Of each outcome; the units are alike but for their outcomes.
    chosen : ndarray of bool of shape (K,), optional
        Units that take part; None: all.
    """
    out = closed_forms(measures)
    first = units[0]
    part = np.arange(len(first.outcome)) if chosen is None else np.flatnonzero(chosen)
    poor = [np.flatnonzero(testable(m, config, eligible) & _poor(m.low, m.high, m.skewness)) for m in measures]
    asked = [number for number, concepts in enumerate(poor) if len(concepts)]
    if asked:
        weights = [sp.csr_array(first.rows(sample.rows(poor[number]))[:, part]) for number in asked]
        outcomes = [units[number].outcome[part] for number in asked]
        for number, tails in zip(asked, shared_tails(weights, outcomes, first.block[part], config.seed), strict=True):
            out[number] = _drawn(measures[number], poor[number], tails)
    return out


def _drawn(m: Measures, asked: np.ndarray, tails: tuple[np.ndarray, np.ndarray, int]) -> Refined:
    """Replace closed-form tails by sampled ones.

    Where hardly any draw is as extreme as T, the larger of the normal and the closed-form tail counts: the normal one
    is conservative on the side of the shorter tail.
    """
    lower, upper, draws = m.low.copy(), m.high.copy(), tails[2]
    short_is_low = m.skewness[asked] > 0
    for tail, drawn, z, short in (
        (lower, tails[0], m.z[asked], short_is_low),
        (upper, tails[1], -m.z[asked], ~short_is_low),
    ):
        safe = np.minimum(drawn, np.maximum(tail[asked], ndtr(z)))
        tail[asked] = np.where(short & (drawn < REACHED / (1 + draws)), safe, drawn)
    drawn = np.zeros(len(lower), bool)
    drawn[asked] = True
    return Refined(replace(m, low=lower, high=upper), drawn)


def _poor(low: np.ndarray, high: np.ndarray, skewness: np.ndarray) -> np.ndarray:
    """Whether T is skewed and its shorter tail small: there a Pearson curve ends before the true distribution."""
    with np.errstate(invalid="ignore"):
        shorter = np.where(skewness > 0, low, high)
        return (np.abs(skewness) > SKEWED) & (shorter < CANDIDATE / 2)


MOST_LEADERS = 300
"""Most groups; the remaining concepts follow."""
LARGEST = 4000
"""Most concepts of one verdict that can lead; the rest follow."""
HELD = 20_000_000
"""Most non-zeros of the concepts that can lead, which stay in memory [ours]; the rows of the rest are read in parts."""
AT_ONCE = 16
"""Leaders that a part's rows are compared with at once."""


def lead(
    weights: Callable[[np.ndarray], sp.csr_array],
    support: np.ndarray,
    outcomes: np.ndarray,
    block: np.ndarray,
    p_values: np.ndarray,
    sign: int,
    most: int = MOST_LEADERS,
) -> np.ndarray:
    """Find the leader of each of n concepts.

    Parameters
    ----------
    weights
        Gives the weights of some concepts, by their places among the n, in the K units.
    support : ndarray of int of shape (n,)
        Non-zeros of each concept's row, or more. At least one concept.
    outcomes : ndarray of float of shape (M, K)
        One row, or one per model: a concept leads by the model in which its gap is strongest. NaN = unscored.
    block : ndarray of int of shape (K,)
    p_values : ndarray of float64 of shape (n,)
        Of no gap, the smallest over the models; the largest of them is the cut.
    sign
        -1: gaps are below 0, 1: above, 0: either.
    most
        Most groups.

    Returns
    -------
    ndarray of int64 of shape (n,)
        Place of each concept's leader; leaders lead themselves.
    """
    scale = _Scale.of(outcomes, block)
    order = np.argsort(p_values, kind="stable")[:LARGEST]
    held = np.sort(order[: max(1, int(np.searchsorted(np.cumsum(support[order]), HELD, side="right")))])
    rows = scale.rows(weights(held))
    cut = float(-ndtri(np.clip(p_values.max() / 2, 1e-300, 0.5)))
    leaders, alike = _select(rows, scale, cut, sign, most)
    nearest = np.zeros(len(p_values), np.int64)
    nearest[held] = np.argmax(alike, axis=1)
    for part in _parts(np.setdiff1d(np.arange(len(p_values)), held), support):
        nearest[part] = _nearest(scale.rows(weights(part)), rows, leaders, scale)
    nearest[held[leaders]] = np.arange(len(leaders))
    return np.asarray(held[leaders][nearest], np.int64)


def _select(rows: sp.csr_array, scale: _Scale, cut: float, sign: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose leaders among rows, and compare each row with them.

    Each step regresses the outcomes on the new leader's part that earlier leaders do not explain: a pivoted Cholesky
    decomposition of the rows' products, which needs their products with each leader and no vector over the units.

    Returns
    -------
    leaders : ndarray of int64 of shape (leaders,)
    alike : ndarray of float64 of shape (n, leaders)
        Correlation of each row with each leader, within blocks.
    """
    spread = _scatter(rows, scale.block)
    first = np.maximum(spread, 1e-300)
    able = np.ones(rows.shape[0], bool)
    product = np.asarray(rows @ scale.residual.T)
    leaders: list[int] = []
    along = np.zeros((rows.shape[0], 0))  # of each row, along each leader's own part
    explained = np.zeros((len(scale.residual), 0))  # of each model's outcomes
    alike: list[np.ndarray] = []
    while able.any():
        strength = np.abs(product).max(axis=1) if sign == 0 else (sign * product).max(axis=1)
        # A concept that earlier leaders explain almost wholly has too little variance left to divide by.
        usable = able & (spread > 0.1 * first)
        z = np.where(usable, strength / np.sqrt(np.maximum(spread, 1e-300)), -np.inf)
        best = int(np.argmax(z))
        if leaders and (z[best] < cut or len(leaders) == most):
            break
        own = _centred(rows[[best]].toarray()[0], scale.block)
        with_own = np.asarray(rows @ own)
        length = max(float(np.sqrt(max(0.0, own @ own - along[best] @ along[best]))), 1e-300)
        axis = (with_own - along @ along[best]) / length
        of_outcomes = (scale.residual @ own - explained @ along[best]) / length
        # The leaders' own parts are orthogonal: outcomes lose the same whether regressed one by one or all at once.
        product = product - np.outer(axis, of_outcomes)
        spread = np.maximum(0.0, spread - axis**2)
        alike.append(with_own / np.sqrt(first * first[best]))
        along, explained = np.column_stack([along, axis]), np.column_stack([explained, of_outcomes])
        leaders.append(best)
        able[best] = False
    return np.array(leaders), np.stack(alike, axis=1)


def _nearest(part: sp.csr_array, rows: sp.csr_array, leaders: np.ndarray, scale: _Scale) -> np.ndarray:
    """Number of the leader that each row of a part is most like; the part's own scatter does not matter for that."""
    first = np.maximum(_scatter(rows[leaders], scale.block), 1e-300)
    alike = np.empty((part.shape[0], len(leaders)))
    for start in range(0, len(leaders), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        own = np.stack([_centred(row, scale.block) for row in rows[leaders[some]].toarray()], axis=1)
        alike[:, some] = (part @ own) / np.sqrt(first[some])
    return np.asarray(np.argmax(alike, axis=1))


def _parts(places: np.ndarray, support: np.ndarray) -> Iterator[np.ndarray]:
    """Cut concepts into parts of at most ``HELD`` non-zeros, unless a single concept has more."""
    number = np.cumsum(support[places]) // HELD
    yield from np.split(places, np.flatnonzero(np.diff(number)) + 1) if len(places) else ()


class _Scale(NamedTuple):
    """The units' outcomes, centred and scaled within their block."""

    residual: np.ndarray
    """float64 of shape (M, K); 0 = unscored, or of a block of constant outcome."""
    block: np.ndarray
    """int64 of shape (K,), numbered without gaps."""
    factor: np.ndarray
    """float64 of shape (K,): by which weighting a unit makes the outcomes' variance 1 everywhere."""

    @staticmethod
    def of(outcomes: np.ndarray, block: np.ndarray) -> _Scale:
        """Scale outcomes, of shape (M, K)."""
        _, block = np.unique(block, return_inverse=True)
        blocks = int(block.max(initial=-1)) + 1
        deviations, residuals = [], []
        for values in outcomes:
            known = np.flatnonzero(~np.isnan(values))
            count = np.maximum(1, np.bincount(block[known], minlength=blocks))
            centred = values[known] - (np.bincount(block[known], values[known], blocks) / count)[block[known]]
            deviation = np.sqrt(np.bincount(block[known], centred**2, blocks) / np.maximum(1, count - 1))
            # A block of constant outcome carries no information: its units get weight 0.
            inverse = np.divide(1.0, deviation, out=np.zeros(blocks), where=deviation > 1e-9)
            residual = np.zeros(len(block))
            residual[known] = centred * inverse[block[known]]
            deviations.append(deviation)
            residuals.append(residual)
        return _Scale(np.array(residuals), block, np.sqrt(np.mean(np.square(deviations), axis=0))[block])

    def rows(self, weights: sp.csr_array) -> sp.csr_array:
        """Saliencies over the units, weighted."""
        rows = sp.csr_array(weights, dtype=np.float64)
        typical = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(1, np.diff(rows.indptr))
        rows.data = saliency(rows.data, np.repeat(np.maximum(typical, 1e-300), np.diff(rows.indptr)))
        rows.data *= self.factor[rows.indices]
        return rows


def _centred(values: np.ndarray, block: np.ndarray) -> np.ndarray:
    return np.asarray(values - (np.bincount(block, values) / np.bincount(block))[block])


def _scatter(rows: sp.csr_array, block: np.ndarray) -> np.ndarray:
    """Sum of squares of each row about its blocks' means."""
    count = np.bincount(block)
    groups = sp.csr_array((np.ones(len(block)), (np.arange(len(block)), block)))
    sums = sp.csr_array(rows @ groups)
    squares = np.asarray(rows.power(2).sum(axis=1)).ravel()
    return np.maximum(0.0, squares - np.asarray(sums.power(2) @ (1.0 / count)))


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
    from scipy.stats import false_discovery_control

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
