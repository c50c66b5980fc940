"""Held-out validity [ours]: do gaps found on one half of the items hold on the other half?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from competency_gaps.errors import MissingExtraError
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.metrics.performance import chi_model, suite_chi_model
from competency_gaps.robustness.data import RunData

SPLITS = 50
FITS = 10
"""Splits on which failures are predicted; each needs a regression."""
DOMINATED = 0.1
"""Share of the second half's clusters that count as dominated by a list of concepts."""
NEIGHBOURS = 20
"""Number of tested concepts with the nearest support, on each side, from which a random concept is drawn."""


@dataclass(frozen=True)
class Interval:
    """Mean and central 95% over the splits."""

    mean: float
    low: float
    high: float
    splits: int
    """Splits in which it is defined."""

    @staticmethod
    def of(values: list[float]) -> Interval:
        """Summarise values by split; NaN = undefined in that split."""
        known = np.asarray([value for value in values if not np.isnan(value)])
        if not len(known):
            return Interval(float("nan"), float("nan"), float("nan"), 0)
        low, high = np.quantile(known, [0.025, 0.975])
        return Interval(float(known.mean()), float(low), float(high), len(known))


@dataclass(frozen=True)
class HeldOut:
    """Results on held-out items. Outcomes are centred on the mean of their benchmark and stratum."""

    weak_found: Interval
    """Number of weak concepts found on the first half."""
    strong_found: Interval
    weak: Interval
    """On the second half: mean outcome of the clusters that the weak concepts dominate, less that of the rest."""
    strong: Interval
    weak_random: Interval
    """The same for as many random concepts of similar support."""
    strong_random: Interval
    chi_model_correlation: Interval
    """Pearson correlation of chi_model between the halves, over concepts tested in both."""
    gap_correlation: Interval
    """The same for the adjusted gap."""
    auc: Interval
    """AUC of failure on the second half, predicted from the concepts' saliencies and what ``auc_baseline`` rests on."""
    auc_baseline: Interval
    """AUC of failure predicted from the benchmark and, against peers, from what these make of the item."""
    auc_gain: Interval
    """``auc`` less ``auc_baseline``, split by split."""


def check_installed() -> None:
    """Raise MissingExtraError if scikit-learn is missing, before minutes of work."""
    try:
        import sklearn.linear_model  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "robustness", "The prediction of failures") from error


def held_out(
    data: RunData,
    *,
    splits: int = SPLITS,
    fits: int = FITS,
    seed: int = 0,
    advance: Callable[[float], None] = lambda amount: None,
) -> HeldOut:
    """Split every benchmark into halves, many times, and test on the second what the first showed; clusters stay whole.

    A list of concepts dominates the tenth of the second half's scored clusters in which its share of the saliency is
    largest.

    Parameters
    ----------
    advance
        Called after each split.
    """
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {name: [] for name in HeldOut.__dataclass_fields__}
    for split in range(splits):
        masks = data.draw(0.5, rng)
        first, second = data.of_items(masks), data.of_items([~mask for mask in masks])
        samples = [half.sample() for half in (first, second)]
        first_evidence, second_evidence = (
            evidence(each, data.config, eligible=data.ranked, groups=False) for each in samples
        )
        saliency, residual = _of_units(samples[1], second.saliency())
        support = np.asarray((saliency > 0).sum(axis=0)).ravel()
        for word in ("weak", "strong"):
            chosen = np.flatnonzero((first_evidence.status == word)[data.tested])
            values[f"{word}_found"].append(float(len(chosen)))
            values[word].append(_effect(saliency, residual, chosen))
            alike = _alike(support, chosen, np.random.default_rng((seed, split)))
            values[f"{word}_random"].append(_effect(saliency, residual, alike))
        _correlate(values, first, second, first_evidence, second_evidence)
        if split < fits:
            for name, value in predict_failure(first, second)._asdict().items():
                values[name].append(value)
        advance(1)
    return HeldOut(**{name: Interval.of(by_split) for name, by_split in values.items()})


def _of_units(sample: ItemSample, saliency: sp.csr_array) -> tuple[sp.csr_array, np.ndarray]:
    """Saliency and outcome of each scored cluster in a block of several.

    Returns
    -------
    saliency : csr_array of float64 of shape (clusters, tested)
        Summed over a cluster's items, averaged over repeats of one text.
    residual : ndarray of float64 of shape (clusters,)
        Outcomes centred on their block's mean.
    """
    units = units_of(sample)
    size = np.bincount(units.block)
    mean = np.bincount(units.block, units.outcome) / size
    compared = np.flatnonzero(size[units.block] > 1)
    summed = sp.csr_array(units.rows(sp.csr_array(saliency.T)).T)
    return sp.csr_array(summed[compared]), (units.outcome - mean[units.block])[compared]


def _effect(saliency: sp.csr_array, residual: np.ndarray, chosen: np.ndarray) -> float:
    """Mean residual of the clusters that the concepts dominate, less that of the rest; NaN if either is empty."""
    if not len(chosen):
        return float("nan")
    total = np.asarray(saliency.sum(axis=1)).ravel()
    own = np.asarray(saliency[:, chosen].sum(axis=1)).ravel()
    part = np.divide(own, total, out=np.zeros(len(own)), where=total > 0)
    count = max(1, round(DOMINATED * len(residual)))
    order = np.argsort(-part, kind="stable")
    dominated, rest = order[:count][part[order[:count]] > 0], order[count:]
    if not len(dominated) or not len(rest):
        return float("nan")
    return float(residual[dominated].mean() - residual[rest].mean())


def _alike(support: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many other concepts, each from those whose support is nearest to that of a chosen one."""
    order = np.argsort(support, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    offsets = rng.integers(1, NEIGHBOURS + 1, len(chosen)) * rng.choice([-1, 1], len(chosen))
    at = place[chosen] + offsets
    at = np.where((at < 0) | (at >= len(order)), place[chosen] - offsets, at)
    return np.unique(order[np.clip(at, 0, max(0, len(order) - 1))])


def _correlate(
    values: dict[str, list[float]], first: RunData, second: RunData, first_evidence: Evidence, second_evidence: Evidence
) -> None:
    both = ~np.isnan(first_evidence.q_value) & ~np.isnan(second_evidence.q_value)
    models = [suite_chi_model(np.stack([chi_model(s) for s in half.sums().values()])) for half in (first, second)]
    for name, (a, b) in (
        ("chi_model_correlation", models),
        ("gap_correlation", (first_evidence.gap, second_evidence.gap)),
    ):
        enough = int(both.sum()) > 2
        values[name].append(float(np.corrcoef(a[both], b[both])[0, 1]) if enough else float("nan"))


class Prediction(NamedTuple):
    """How well failures of one half are predicted from another; the fields are those of :class:`HeldOut`."""

    auc: float
    auc_baseline: float
    auc_gain: float


def predict_failure(first: RunData, second: RunData) -> Prediction:
    """Predict the failures of the second half, with and without the concepts; NaN if a half has one kind of item only.

    The concepts' logistic regression starts from the log-odds of the baseline's, so that it has to add to them.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    known, unseen = (~np.isnan(half.scores) for half in (first, second))
    failed, truth = first.failed[known], second.failed[unseen]
    cluster = np.concatenate([part.cluster for part in first.parts])[known]
    folds = min(3, *(len(np.unique(cluster[failed == kind])) for kind in (False, True)))
    if folds < 2 or len(set(truth.tolist())) < 2:
        return Prediction(float("nan"), float("nan"), float("nan"))
    baseline = LogisticRegression(C=100, max_iter=1000).fit(_baseline(first)[known], failed)
    odds = [baseline.decision_function(_baseline(half)) for half in (first, second)]
    # The penalty hardly weighs on a column that is as wide as this.
    features, others = (
        sp.csr_array(sp.hstack([10 * sp.csr_array(odd[:, None]), half.saliency()], format="csr"))[kept]
        for odd, half, kept in zip(odds, (first, second), (known, unseen), strict=True)
    )
    model = GridSearchCV(
        LogisticRegression(max_iter=300),
        {"C": [0.003, 0.01, 0.03, 0.1]},
        scoring="neg_log_loss",
        # Items are ordered by benchmark: unshuffled folds would hold out whole benchmarks.
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=0),
    )
    model.fit(features, failed, groups=cluster)
    alone = float(roc_auc_score(truth, odds[1][unseen]))
    auc = float(roc_auc_score(truth, model.predict_proba(others)[:, 1]))
    return Prediction(auc, alone, auc - alone)


def _baseline(data: RunData) -> np.ndarray:
    """What predicts failures without concepts: float64 of shape (items, benchmarks, and one against peers)."""
    groups = np.eye(len(data.parts))[data.benchmark]
    if data.expected is None:
        return groups
    return np.column_stack([groups, np.nan_to_num(data.expected)])
