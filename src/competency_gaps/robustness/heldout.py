"""Tests on other items or runs: held-out validity [ours], another SAE or layer [paper], other wording or seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.errors import MissingExtraError, UserError
from competency_gaps.evidence import Evidence, ItemSample, evidence, units_of
from competency_gaps.metrics.suite import chi_model, suite_chi_model
from competency_gaps.robustness.data import RunData
from competency_gaps.runs.open import RunFolder

SPLITS = 50
FITS = 10
"""Splits on which failures are predicted; each needs a regression."""
DOMINATED = 0.1
"""Share of the second half's clusters that count as dominated by a list of concepts."""
NEIGHBOURS = 20
"""Number of other tested concepts with the nearest support, on each side, from which a random concept is drawn."""


@dataclass(frozen=True)
class OverSplits:
    """Mean and middle 95% over splits. These overlap, so the range shows how steady a figure is, not its error."""

    mean: float
    low: float
    high: float
    splits: int
    """Splits in which it is defined."""

    @staticmethod
    def of(values: list[float]) -> OverSplits:
        """Summarise values by split; NaN = undefined in that split."""
        known = np.asarray([value for value in values if not np.isnan(value)])
        if not len(known):
            return OverSplits(float("nan"), float("nan"), float("nan"), 0)
        low, high = np.quantile(known, [0.025, 0.975])
        return OverSplits(float(known.mean()), float(low), float(high), len(known))


@dataclass(frozen=True)
class HeldOut:
    """Results on held-out items. Outcomes are centred on the mean of their benchmark and stratum."""

    weak_found: OverSplits
    """Number of weak concepts found on the first half."""
    strong_found: OverSplits
    weak: OverSplits
    """On the second half: mean outcome of the clusters that the weak concepts dominate, less that of the rest."""
    strong: OverSplits
    weak_random: OverSplits
    """The same for as many random concepts of similar support."""
    strong_random: OverSplits
    chi_model_correlation: OverSplits
    """Pearson correlation of chi_model between the halves, over concepts tested in both."""
    gap_correlation: OverSplits
    """The same for the adjusted gap."""
    auc: OverSplits
    """AUC of failure on the second half, predicted from the concepts' saliencies and what ``auc_baseline`` rests on."""
    auc_baseline: OverSplits
    """AUC of failure predicted from the benchmark and, against peers, from what these make of the item."""
    auc_gain: OverSplits
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
            for name, value in predict_failure(first, second).items():
                values[name].append(value)
        advance(1)
    return HeldOut(**{name: OverSplits.of(by_split) for name, by_split in values.items()})


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
    """Draw as many other concepts, each from those whose support is nearest to that of a chosen one.

    Fewer are drawn only where there are fewer others.
    """
    others = np.setdiff1d(np.arange(len(support)), chosen)
    others = others[np.argsort(support[others], kind="stable")]
    drawn = []
    for concept in rng.permutation(chosen)[: len(others)]:
        place = int(np.searchsorted(support[others], support[concept]))
        near = np.arange(max(0, place - NEIGHBOURS), min(len(others), place + NEIGHBOURS))
        taken = int(rng.choice(near))
        drawn.append(int(others[taken]))
        others = np.delete(others, taken)
    return np.array(drawn, np.int64)


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


def predict_failure(first: RunData, second: RunData) -> dict[str, float]:
    """Predict the failures of the second half, with and without the concepts, as :class:`HeldOut` names them.

    All are NaN if a half has one kind of item only.

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
        return dict.fromkeys(("auc", "auc_baseline", "auc_gain"), float("nan"))
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
    return {"auc": auc, "auc_baseline": alone, "auc_gain": auc - alone}


def _baseline(data: RunData) -> np.ndarray:
    """What predicts failures without concepts: float64 of shape (items, benchmarks, and one against peers)."""
    groups = np.eye(len(data.parts))[data.benchmark]
    if data.expected is None:
        return groups
    return np.column_stack([groups, np.nan_to_num(data.expected)])


MATCHED = 0.5
"""Least correlation over the items at which two concepts count as the same."""
ROWS = 2048
"""Concepts of one run that are correlated at a time with all of the other."""


@dataclass(frozen=True)
class Distribution:
    """A quantity over the concepts of both runs."""

    median: float
    median_other: float
    distance: float
    """Kolmogorov-Smirnov distance of the two distributions, in [0, 1]."""


@dataclass(frozen=True)
class Agreement:
    """How far two runs agree."""

    against: str
    same_sae: bool
    """True: concepts are compared by number; False: they are matched by their activation over the items."""
    items: int
    """Items in both runs, by benchmark and id."""
    concepts: int
    """Concepts tested in this run on these items."""
    matched: int
    """Pairs compared: both tested and, with another SAE, mutual best matches with a correlation of at least 0.5."""
    median_correlation: float | None
    """Median correlation of the matched concepts' saliencies over the items; None with the same SAE."""
    gap_correlation: float
    """Pearson correlation of the adjusted gaps of the pairs."""
    chi_model_correlation: float
    same_sign: float
    """Share of the pairs weak or strong in this run whose gap has the same sign in the other."""
    weak: int
    """Pairs that are weak in this run."""
    weak_in_both: int
    chi_model: Distribution
    chi_bench: Distribution


def agreement(run: RunFolder, other: RunFolder, data: RunData, other_data: RunData) -> Agreement:
    """Compare two runs.

    Raises
    ------
    UserError
        If the runs share no item or no tested concept.
    """
    shared = set(data.item_ids) & set(other_data.item_ids)
    if not shared:
        raise UserError(
            f"{str(run.path)!r} and {str(other.path)!r} have no item in common (benchmark and id): "
            f"the run to compare with must be of the same items."
        )
    data_here, data_there = (_of_items(side, shared) for side in (data, other_data))
    here, there = (evidence(side.sample(), side.config, eligible=side.ranked) for side in (data_here, data_there))
    tested, other_tested = (~np.isnan(side.q_value) for side in (here, there))
    if not tested.any() or not other_tested.any():
        raise UserError("on the items that both runs have, one of them has no tested concept: nothing can be compared.")
    same = run.manifest["sae"]["weights_sha256"] == other.manifest["sae"]["weights_sha256"]
    if same:
        first = second = np.flatnonzero(tested & other_tested)
        correlation = None
    else:
        data_here, data_there = replace(data_here, tested=tested), replace(data_there, tested=other_tested)
        first, second, values = _matched(data_here, data_there, sorted(shared))
        correlation = float(np.median(values)) if len(values) else None
    if not len(first):
        raise UserError(f"no tested concept of {str(run.path)!r} is found again in {str(other.path)!r}.")
    real = np.isin(here.status[first], ["weak", "strong"])
    signs = np.sign(here.gap[first]) == np.sign(there.gap[second])
    weak, also = here.status[first] == "weak", there.status[second] == "weak"
    return Agreement(
        against=str(other.path),
        same_sae=same,
        items=len(shared),
        concepts=int(tested.sum()),
        matched=len(first),
        median_correlation=correlation,
        gap_correlation=_correlation(here.gap[first], there.gap[second]),
        chi_model_correlation=_correlation(data_here.chi_model()[first], data_there.chi_model()[second]),
        same_sign=float(signs[real].mean()) if real.any() else float("nan"),
        weak=int(weak.sum()),
        weak_in_both=int((weak & also).sum()),
        chi_model=_distribution(run, other, "chi_model"),
        chi_bench=_distribution(run, other, "chi_bench"),
    )


def _of_items(data: RunData, shared: set[tuple[str, str]]) -> RunData:
    kept = np.array([item_id in shared for item_id in data.item_ids], bool)
    return data.of_items(data.split(kept))


def _matched(data: RunData, other: RunData, shared: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tested concepts that are mutual best matches over the shared items, with their correlation."""
    first, second = _profiles(data, shared), _profiles(other, shared)
    best = np.full(first.shape[1], -1)
    value = np.full(first.shape[1], -np.inf)
    back, back_value = np.full(second.shape[1], -1), np.full(second.shape[1], -np.inf)
    for start in range(0, first.shape[1], ROWS):
        block = _correlations(first[:, start : start + ROWS], second)
        rows = np.arange(start, start + block.shape[0])
        best[rows], value[rows] = block.argmax(axis=1), block.max(axis=1)
        column, column_value = block.argmax(axis=0), block.max(axis=0)
        better = column_value > back_value
        back[better], back_value[better] = column[better] + start, column_value[better]
    pairs = np.flatnonzero((back[best] == np.arange(len(best))) & (value >= MATCHED))
    return np.flatnonzero(data.tested)[pairs], np.flatnonzero(other.tested)[best[pairs]], value[pairs]


def _profiles(data: RunData, shared: list[tuple[str, str]]) -> sp.csc_array:
    place = {item_id: i for i, item_id in enumerate(data.item_ids)}
    return sp.csc_array(data.saliency()[[place[item_id] for item_id in shared]])


def _correlations(first: sp.csc_array, second: sp.csc_array) -> np.ndarray:
    """Pearson correlation of every column of one with every column of the other; 0 where one is constant."""
    n = first.shape[0]
    means = [np.asarray(m.mean(axis=0)).ravel() for m in (first, second)]
    spreads = [
        np.sqrt(np.maximum(0.0, np.asarray(m.power(2).mean(axis=0)).ravel() - mean**2))
        for m, mean in zip((first, second), means, strict=True)
    ]
    product = (first.T @ second).toarray() / n - np.outer(*means)
    scale = np.outer(*spreads)
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-15)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else float("nan")


def _distribution(run: RunFolder, other: RunFolder, column: str) -> Distribution:
    from scipy.stats import ks_2samp

    values = [side.concepts.filter(pl.col("alive"))[column].drop_nulls().to_numpy() for side in (run, other)]
    if not all(len(side) for side in values):
        return Distribution(float("nan"), float("nan"), float("nan"))
    return Distribution(float(np.median(values[0])), float(np.median(values[1])), float(ks_2samp(*values).statistic))
