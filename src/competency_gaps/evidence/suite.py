"""All evidence of a suite and of its benchmarks: which gaps are real."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

import numpy as np
import scipy.sparse as sp

from competency_gaps.config import EvidenceConfig
from competency_gaps.evidence.judge import Evidence, closed_forms, judge, refined
from competency_gaps.evidence.measure import Measures, layout_of, measure
from competency_gaps.evidence.sample import Covariate, ItemSample, Units, sample_of, units_of
from competency_gaps.metrics.sums import check_rows

AT_ONCE = 64
"""Most outcomes for which rows are read once."""
HELD = 600_000_000
"""Bytes that outcomes may take together, so that large suites read rows for fewer of them at once."""
OF_ITEM, OF_CONCEPT = 32, 256
"""Bytes that an outcome takes for each item and concept; an item some 130 where each outcome lacks other items."""


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

    Rows are read once for ``AT_ONCE`` outcomes, for fewer if items are many, and again for concepts whose tails are
    drawn or that may lead. Outcomes of the same scored items share their units, the sums of the concepts' weights and
    drawn permutations.

    Parameters
    ----------
    samples
        Alike but for their ``scores`` and ``limits``.
    eligible, pooled, groups
        As of :func:`evidence`.
    """
    left = iter(samples)
    for first in left:
        size = OF_ITEM * len(first.scores) + OF_CONCEPT * first.concepts
        count = min(AT_ONCE, max(1, HELD // max(1, size)))
        yield from _evidence_at_once(
            [first, *itertools.islice(left, count - 1)], config, eligible=eligible, pooled=pooled, groups=groups
        )


def _evidence_at_once(
    samples: Sequence[ItemSample], config: EvidenceConfig, *, eligible: np.ndarray | None, pooled: bool, groups: bool
) -> list[Evidence]:
    """Gather the evidence of some outcomes, for which rows are read once."""
    alike: dict[bytes, list[int]] = {}
    for number, sample in enumerate(samples):
        alike.setdefault(np.packbits(np.isnan(sample.scores)).tobytes(), []).append(number)
    layouts = [layout_of([samples[number] for number in numbers]) for numbers in alike.values()]
    measured = measure(samples[0], layouts, config.level, pooled=pooled, single=False)
    judged = {}
    for numbers, layout, own in zip(alike.values(), layouts, measured, strict=True):
        suite = [measures for measures, _ in own]
        tails = refined(samples[0], layout.suite, suite, config, eligible) if groups else closed_forms(suite)
        for number, unit, tail in zip(numbers, layout.suite, tails, strict=True):
            judged[number] = judge(tail, samples[number], unit, config, eligible, groups=groups)
    return [judged[number] for number in range(len(samples))]


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
    layout = layout_of([sample])
    (((suite_measures, single),),) = measure(sample, [layout], config.level, pooled=pooled, single=True)

    def judged(measures: Measures, units: Units, chosen: np.ndarray | None = None) -> Evidence:
        (tails,) = refined(sample, [units], [measures], config, eligible, chosen)
        return judge(tails, sample, units, config, eligible, groups=True, chosen=chosen)

    suite = judged(suite_measures, layout.suite[0])
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
    return judge(nothing_drawn, sample, units_of(sample), EvidenceConfig(), None, groups=False)


def _nothing(concepts: int) -> Measures:
    """Measures of a benchmark without a scored item."""
    blank = {field.name: np.full(concepts, np.nan) for field in fields(Measures)}
    nothing = np.zeros(concepts)
    return Measures(**{**blank, "n_eff": nothing, "weight": nothing, "active": nothing > 0})


def measure_evidence(
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
    >>> found = measure_evidence(sp.csr_array(active.astype(float)), scores, np.repeat("arithmetic", 600))
    >>> found.status.tolist()
    ['weak', 'typical', 'typical']
    """
    cas, outcomes = sp.csr_array(cas), np.asarray(outcomes, np.float64)
    check_rows(cas, outcomes, np.asarray(benchmarks), limits)
    _, numbers = np.unique(np.asarray(benchmarks), return_inverse=True)
    sample = sample_of(cas, outcomes, numbers, cluster=cluster, covariates=covariates, repeats=repeats, limits=limits)
    return evidence(sample, config or EvidenceConfig(), eligible=eligible)
