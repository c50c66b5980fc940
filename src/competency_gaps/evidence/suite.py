"""All evidence of a suite and of its benchmarks: which gaps are real."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri
from scipy.stats import false_discovery_control

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.groups import lead
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.measure import Measures, layout_of, measure
from competency_gaps.evidence.refine import Refined, closed_forms, refined, testable
from competency_gaps.evidence.strata import Covariate
from competency_gaps.evidence.units import ItemSample, Units, sample_of, units_of
from competency_gaps.metrics.sums import check_rows

AT_ONCE = 16
"""Most outcomes whose measures are in memory at once."""
POWER = 0.8
"""Power at which a gap counts as detectable."""
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


def evidence(
    sample: ItemSample,
    config: EvidenceConfig,
    *,
    eligible: np.ndarray | None = None,
    pooled: bool = False,
    groups: bool = True,
) -> Evidence:
    """Gather the evidence of every concept over the benchmarks of a sample.

    A concept is tested if it is eligible, its ``n_eff`` reaches the floor, and both its weights and the outcomes vary
    within some block (a benchmark of constant score says nothing of its concepts).

    Parameters
    ----------
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested, those without a flag; None: all.
    pooled
        Interval of the pooled chi_model instead of the mean over benchmarks.
    groups
        Whether to sample p-values whose closed form is poor, and to find leaders; False is faster, for resamples.
    """
    return next(evidence_of_each([sample], config, eligible=eligible, pooled=pooled, groups=groups))


def evidence_of_each(
    samples: Iterable[ItemSample],
    config: EvidenceConfig,
    *,
    eligible: np.ndarray | None = None,
    pooled: bool = False,
    groups: bool = True,
) -> Iterator[Evidence]:
    """Gather the evidence of several outcomes of the same items, as :func:`evidence` does for each.

    Rows are read once for every ``AT_ONCE`` outcomes. Those with the same scored items share their units, the sums of
    the concepts' weights and the drawn permutations.

    Parameters
    ----------
    samples
        Alike but for their ``scores`` and ``limits``.
    eligible, pooled, groups
        As of :func:`evidence`.
    """
    left = iter(samples)
    while some := list(itertools.islice(left, AT_ONCE)):
        alike: dict[bytes, list[int]] = {}
        for number, sample in enumerate(some):
            alike.setdefault(np.isnan(sample.scores).tobytes(), []).append(number)
        layouts = []
        for first, *others in alike.values():
            layout = layout_of(some[first])
            layouts.append([layout, *(layout.with_scores(some[other]) for other in others)])
        measured = iter(measure(some[0], layouts, config.level, pooled=pooled, single=False))
        judged = {}
        for numbers, own in zip(alike.values(), layouts, strict=True):
            units = [layout.suite for layout in own]
            suite = [next(measured)[0] for _ in own]
            tails = refined(some[0], units, suite, config, eligible) if groups else closed_forms(suite)
            for number, unit, tail in zip(numbers, units, tails, strict=True):
                judged[number] = _judge(tail, some[number], unit, config, eligible, groups=groups)
        yield from (judged[number] for number in range(len(some)))


def evidence_by_benchmark(
    sample: ItemSample, config: EvidenceConfig, *, eligible: np.ndarray | None = None, pooled: bool = False
) -> tuple[Evidence, dict[int, Evidence]]:
    """Gather the evidence of a suite and of each of its benchmarks, reading the concepts' rows once.

    Returns
    -------
    suite : Evidence
        As :func:`evidence` gives it.
    single : dict of int to Evidence
        By number of the benchmark, those without a scored item included.
    """
    layout = layout_of(sample)
    ((suite_measures, single),) = measure(sample, [[layout]], config.level, pooled=pooled, single=True)

    def judged(measures: Measures, units: Units, chosen: np.ndarray | None = None) -> Evidence:
        (tails,) = refined(sample, [units], [measures], config, eligible, chosen)
        return _judge(tails, sample, units, config, eligible, groups=True, chosen=chosen)

    suite = judged(suite_measures, layout.suite)
    own = {}
    for number in np.unique(sample.benchmark).tolist():
        of_it = layout.within.benchmark == number
        measures = single[number] if number in single else _nothing(sample.concepts)
        own[number] = judged(measures, layout.within, of_it)
    return suite, own


def untested(concepts: int) -> Evidence:
    """Give the evidence of a benchmark without items."""
    nothing, silent = np.zeros(0), np.zeros(concepts, np.int64)
    sample = ItemSample(nothing, nothing.astype(np.int64), lambda asked: sp.csr_array((len(asked), 0)), silent)
    (nothing_drawn,) = closed_forms([_nothing(concepts)])
    return _judge(nothing_drawn, sample, units_of(sample), EvidenceConfig(), None, groups=False)


def _nothing(concepts: int) -> Measures:
    """Measures of a benchmark without a scored item."""
    blank = {field.name: np.full(concepts, np.nan) for field in fields(Measures)}
    nothing = np.zeros(concepts)
    return Measures(**{**blank, "n_eff": nothing, "weight": nothing, "active": nothing > 0})


def _judge(
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


def suite_evidence(
    cas: sp.csr_array,
    outcomes: np.ndarray,
    benchmarks: np.ndarray,
    *,
    cluster: np.ndarray | None = None,
    repeats: np.ndarray | None = None,
    covariates: Sequence[Covariate] = (),
    config: EvidenceConfig | None = None,
    eligible: np.ndarray | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Evidence:
    """Evidence over a suite from plain arrays.

    Parameters
    ----------
    cas : csr_array of shape (items, concepts)
        CAS, >= 0.
    outcomes : ndarray of float of shape (items,)
        Scores, or other outcomes within ``limits``; NaN = unscored.
    benchmarks : ndarray of shape (items,)
        Which benchmark each item belongs to.
    cluster : ndarray of int of shape (items,), optional
        Items of the same number form a cluster, which counts once; None: every item is its own cluster.
    repeats : ndarray of bool of shape (items,), optional
        Whether the item's cluster repeats one text; None: no cluster does.
    covariates
        What the items are stratified by; none: items are compared with all others of their benchmark.
    eligible : ndarray of bool of shape (concepts,), optional
        Concepts that may be tested; None: all.
    limits
        Least and greatest outcome that is possible: 0 and 1 for scores, -1 and 1 for differences of two scores.

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
    >>> found = suite_evidence(sp.csr_array(active.astype(float)), scores, np.repeat("arithmetic", 600))
    >>> found.status.tolist()
    ['weak', 'typical', 'typical']
    """
    cas, outcomes = sp.csr_array(cas), np.asarray(outcomes, np.float64)
    check_rows(cas, outcomes, np.asarray(benchmarks), limits)
    _, numbers = np.unique(np.asarray(benchmarks), return_inverse=True)
    sample = sample_of(cas, outcomes, numbers, cluster=cluster, covariates=covariates, repeats=repeats, limits=limits)
    return evidence(sample, config or EvidenceConfig(), eligible=eligible)
