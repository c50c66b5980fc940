"""Held-out validity [ours]: do gaps found on half of the items hold on the other half?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.errors import MissingExtraError
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.metrics.performance import chi_model, suite_chi_model
from competency_gaps.robustness.data import RunData

SPLITS = 50
FITS = 10
"""Splits on which failure is predicted: each costs a regression."""
DOMINATED = 0.1
"""Share of the other half's clusters that count as dominated by a list of concepts."""
NEIGHBOURS = 20
"""A random concept is drawn from so many tested ones with the nearest support."""


@dataclass(frozen=True)
class Interval:
    """Mean over the splits, with the middle 95% of them."""

    mean: float
    low: float
    high: float
    splits: int
    """Splits in which it is defined."""

    @staticmethod
    def of(values: list[float]) -> Interval:
        """Summarise splits; NaN = not defined in that one."""
        known = np.asarray([value for value in values if not np.isnan(value)])
        if not len(known):
            return Interval(float("nan"), float("nan"), float("nan"), 0)
        low, high = np.quantile(known, [0.025, 0.975])
        return Interval(float(known.mean()), float(low), float(high), len(known))


@dataclass(frozen=True)
class HeldOut:
    """What carries over. Outcomes are taken less the mean of their benchmark and stratum."""

    weak_found: Interval
    """Weak concepts found on the first half."""
    strong_found: Interval
    weak: Interval
    """On the other half: outcome of the clusters that the weak concepts dominate, less that of the rest."""
    strong: Interval
    weak_random: Interval
    """The same for as many random concepts of the same support."""
    strong_random: Interval
    chi_model_correlation: Interval
    """Pearson correlation of chi_model between the halves, over concepts tested in both."""
    gap_correlation: Interval
    """The same of the adjusted gap."""
    auc: Interval
    """AUC of failure on the other half, predicted from the benchmark and the concepts' saliencies."""
    auc_baseline: Interval
    """AUC of failure predicted from the benchmark alone (its mean on the first half)."""


def check_installed() -> None:
    """Raise MissingExtraError now, and not after minutes, if scikit-learn is missing."""
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
    """Split every benchmark into halves, many times, and look on one for what the other showed; clusters stay whole.

    A cluster's domination by a list is the list's part of its saliency; the tenth of the other half's scored clusters
    with the largest part is called dominated.

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
        first_evidence, second_evidence = (evidence(each, data.config, eligible=data.ranked, groups=False) for each in samples)
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
            auc, baseline = _predict_failure(data, first, second)
            values["auc"].append(auc)
            values["auc_baseline"].append(baseline)
        advance(1)
    return HeldOut(**{name: Interval.of(values) for name, values in values.items()})


def _of_units(sample: ItemSample, saliency: sp.csr_array) -> tuple[sp.csr_array, np.ndarray]:
    """Saliency and outcome of each scored cluster that is compared with others: once, however many items it has.

    Returns
    -------
    saliency : csr_array of float64 of shape (clusters, tested)
        Summed over a cluster's items; of repeats of one text the mean.
    residual : ndarray of float64 of shape (clusters,)
        Outcomes less their block's mean.
    """
    units = units_of(sample)
    size = np.bincount(units.block)
    mean = np.bincount(units.block, units.outcome) / size
    compared = np.flatnonzero(size[units.block] > 1)
    summed = sp.csr_array(units.rows(sp.csr_array(saliency.T)).T)
    return sp.csr_array(summed[compared]), (units.outcome - mean[units.block])[compared]


def _effect(saliency: sp.csr_array, residual: np.ndarray, chosen: np.ndarray) -> float:
    """Mean residual of the clusters that the concepts dominate, less that of the rest; NaN without concepts."""
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
    """As many other concepts, each drawn from those whose support is nearest to a chosen one's."""
    order = np.argsort(support, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    offsets = rng.integers(1, NEIGHBOURS + 1, len(chosen)) * rng.choice([-1, 1], len(chosen))
    at = place[chosen] + offsets
    at = np.where((at < 0) | (at >= len(order)), place[chosen] - offsets, at)
    return np.unique(order[np.clip(at, 0, max(0, len(order) - 1))])


def _correlate(values: dict[str, list[float]], first: RunData, second: RunData, first_evidence: Evidence, second_evidence: Evidence) -> None:
    both = ~np.isnan(first_evidence.q_value) & ~np.isnan(second_evidence.q_value)
    models = [suite_chi_model(np.stack([chi_model(s) for s in half.sums().values()])) for half in (first, second)]
    for name, (a, b) in (("chi_model_correlation", models), ("gap_correlation", (first_evidence.gap, second_evidence.gap))):
        enough = int(both.sum()) > 2
        values[name].append(float(np.corrcoef(a[both], b[both])[0, 1]) if enough else float("nan"))


def _predict_failure(data: RunData, first: RunData, second: RunData) -> tuple[float, float]:
    """AUC on the second half from concepts and benchmark, and from the benchmark alone; a failure scores below 1/2."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    halves = []
    for half in (first, second):
        scores = np.concatenate([part.scores for part in half.parts])
        benchmark = np.repeat(np.arange(len(half.parts)), [len(part.scores) for part in half.parts])
        known = ~np.isnan(scores)
        groups = sp.csr_array(
            (np.ones(len(scores)), (np.arange(len(scores)), benchmark)), (len(scores), len(half.parts))
        )
        features = sp.csr_array(sp.hstack([groups, half.saliency()], format="csr"))[known]
        halves.append((features, (scores[known] < 0.5).astype(int), benchmark[known]))
    (features, failed, groups_of), (others, other_failed, other_groups) = halves
    if len(set(failed)) < 2 or len(set(other_failed)) < 2:
        return float("nan"), float("nan")
    rate = np.bincount(groups_of, failed, len(data.parts)) / np.maximum(
        1, np.bincount(groups_of, minlength=len(data.parts))
    )
    cluster = np.concatenate([part.cluster[~np.isnan(part.scores)] for part in first.parts])
    folds = min(3, *(len(np.unique(cluster[failed == kind])) for kind in (0, 1)))
    if folds < 2:
        return float("nan"), float("nan")
    model = GridSearchCV(
        LogisticRegression(max_iter=300),
        {"C": [0.003, 0.01, 0.03, 0.1]},
        scoring="neg_log_loss",
        # Items come benchmark by benchmark: unshuffled folds would choose for benchmarks that were never seen.
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=0),
    )
    model.fit(features, failed, groups=cluster)
    chance = model.predict_proba(others)[:, 1]
    return float(roc_auc_score(other_failed, chance)), float(roc_auc_score(other_failed, rate[other_groups]))
