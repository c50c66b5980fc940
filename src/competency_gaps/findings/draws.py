"""Robustness of a run: subsampling and ablation of items [paper], halves [ours], another SAE [paper]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.evidence import shares
from competency_gaps.evidence.chi import Sums, chi_bench, chi_model, saliency, suite_chi_model
from competency_gaps.reading.profiles import cas_of
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import UserError

DRAWS = 100
DROPPED = 0.2
"""Share of each benchmark's clusters that a draw leaves out."""
SHARE = 0.01
"""Maximum share of the scored items that an ablation removes."""
CONCEPTS = 100
"""Number of concepts with the highest (lowest) chi_model whose items an ablation removes."""
RANDOM = 50
"""Number of random removals with which an ablation is compared."""
SPLITS = 50
FITS = 10
"""Number of splits on which failures are predicted; each needs a regression."""


@dataclass(frozen=True)
class RunData:
    """The kept items of a run, and its concepts. N items, C concepts."""

    cas: sp.csr_array
    """float32 of shape (N, C)."""
    scores: np.ndarray
    """float64 of shape (N,): outcomes as shares of their limits, in [0, 1]; NaN = unscored."""
    benchmark: np.ndarray
    """int64 of shape (N,): number of each item's benchmark."""
    cluster: np.ndarray
    """int64 of shape (N,)."""
    ids: tuple[tuple[str, str], ...]
    """Benchmark and id of every item."""
    alive: np.ndarray
    """bool of shape (C,): whether the concept is alive; ``ranked`` and ``tested`` (it has a p-value) likewise."""
    ranked: np.ndarray
    tested: np.ndarray
    tau: np.ndarray
    """float64 of shape (C,), > 0: typical CAS; 1 where a concept is never active."""
    limits: tuple[float, float] = (0.0, 1.0)
    """The outcomes that scores of 0 and 1 stand for."""
    expected: np.ndarray | None = None
    """float64 of shape (N,): the model's score as expected from its peers; None: the outcome is not against peers."""

    @property
    def failed(self) -> np.ndarray:
        """Whether the model's score is below 1/2 (a difference of two models: below 0): bool of shape (N,)."""
        if self.expected is None:
            return self.scores < 0.5
        low, high = self.limits
        return low + (high - low) * self.scores + self.expected < 0.5 - 1e-9  # less what rounding may take off a 1/2

    @property
    def saliency(self) -> sp.csr_array:
        """Saliency (nCAS) of the tested concepts: csr_array of float64 of shape (N, tested)."""
        rows = sp.csr_array(self.cas[:, self.tested], dtype=np.float64)
        rows.data = saliency(rows.data, self.tau[self.tested][rows.indices])
        return rows

    def of_items(self, kept: np.ndarray) -> RunData:
        """Return the data of some items, in the given order: bool or int of shape (items,)."""
        rows = np.flatnonzero(kept) if kept.dtype == bool else kept
        arrays = {name: getattr(self, name)[rows] for name in ("cas", "scores", "benchmark", "cluster")}
        expected = None if self.expected is None else self.expected[rows]
        return replace(self, **arrays, ids=tuple(self.ids[at] for at in rows), expected=expected)

    def draw(self, share: float, rng: np.random.Generator) -> np.ndarray:
        """Return a random share of each benchmark's clusters, as a mask of items: bool of shape (N,).

        Clusters are drawn whole; one that spans benchmarks counts in the first.
        """
        _, first, number = np.unique(self.cluster, return_index=True, return_inverse=True)
        home = self.benchmark[first]
        order = np.lexsort((rng.random(len(home)), home))
        size = np.bincount(home)
        rank = np.empty(len(home), np.int64)
        rank[order] = np.arange(len(home)) - np.repeat(np.cumsum(size) - size, size)
        return np.asarray((rank < np.round(share * size)[home])[number])


def run_data(run: RunFolder) -> RunData:
    """Return a run's items and concepts; excluded items are left out."""
    concepts, rows = run.concepts, run.items["excluded"].is_null().arg_true().to_numpy().astype(np.int64)
    items = run.items[rows]
    names = items["benchmark"].unique(maintain_order=True).to_list()
    expected = items["score"].fill_null(float("nan")).to_numpy() - run.outcomes[rows] if run.kind == "peers" else None
    return RunData(
        sp.csr_array(cas_of(run.by_concept, rows, np.arange(run.width)).T),
        shares(run.outcomes, run.limits)[rows],
        items["benchmark"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy(),
        items["cluster"].cast(pl.Int64).to_numpy(),
        tuple(items.select("benchmark", "item_id").iter_rows()),
        concepts["alive"].to_numpy(),
        concepts["ranked"].to_numpy(),
        concepts["q_value"].is_not_null().to_numpy(),
        concepts["tau"].fill_null(1.0).to_numpy(),
        run.limits,
        expected,
    )


def metrics_of(data: RunData, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """chi_bench and chi_model of the suite on subsets of the items.

    Parameters
    ----------
    masks : ndarray of bool of shape (N, D)
        Items of each subset.

    Returns
    -------
    bench, model : ndarray of float64 of shape (C, D); NaN = undefined.
    """
    bench, model = [], []
    for mask in masks.T:
        parts = [mask & (data.benchmark == number) for number in np.unique(data.benchmark)]
        sums = [Sums.of(data.cas[part], data.scores[part]) for part in parts]
        bench.append(np.mean([chi_bench(part, data.alive) for part in sums], axis=0))
        model.append(suite_chi_model(np.stack([chi_model(part) for part in sums])))
    return np.stack(bench, axis=1), np.stack(model, axis=1)


def spread(values: np.ndarray) -> dict[str, float]:
    """Return a summary over concepts of standard deviations over draws: mean, median, 95% quantile, number of concepts.

    Parameters
    ----------
    values : ndarray of float64 of shape (concepts, draws)
        NaN = undefined in that draw: the concept is left out.
    """
    always = values[~np.isnan(values).any(axis=1)]
    if values.shape[1] < 2 or not len(always):
        return {"mean": float("nan"), "median": float("nan"), "p95": float("nan"), "concepts": 0}
    deviation = always.std(axis=1, ddof=1)
    middle, high = np.quantile(deviation, [0.5, 0.95]).tolist()
    return {"mean": float(deviation.mean()), "median": middle, "p95": high, "concepts": len(deviation)}


def subsample(data: RunData, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Return how much metrics vary between random subsets of every benchmark.

    Returns
    -------
    dict
        ``draws``, ``dropped``, and :func:`spread` of ``chi_model``, ``chi_model_tested`` (tested concepts only) and
        ``chi_bench``.
    """
    rng = np.random.default_rng(seed)
    bench, model = metrics_of(data, np.stack([data.draw(1 - DROPPED, rng) for _ in range(draws)], axis=1))
    of_tables = {"chi_model": model[data.alive], "chi_model_tested": model[data.tested], "chi_bench": bench[data.alive]}
    return {"draws": draws, "dropped": DROPPED, **{name: spread(values) for name, values in of_tables.items()}}


@dataclass(frozen=True)
class Removal:
    """Effect of removing the items most aligned with some concepts on the median chi_model."""

    concepts: int
    items: int
    """Items removed: fewer than 1% of the scored items, but at least one."""
    change: float
    """Change of the median chi_model over concepts."""
    random_low: float
    """2.5% quantile of the change when as many random items are removed."""
    random_high: float
    """97.5% quantile."""

    @property
    def outside(self) -> bool:
        """Whether the change lies outside the range for random items."""
        return not self.random_low <= self.change <= self.random_high


def ablate(data: RunData, *, seed: int = 0) -> dict[str, Removal]:
    """Return the effect of removing the items most aligned with the 100 ``best`` and the 100 ``worst`` tested concepts.

    Concepts are ordered by chi_model. An item's alignment [ours] is the sum of its saliencies (nCAS) of these concepts.
    """
    whole = np.ones((len(data.scores), 1), bool)
    places = np.flatnonzero(data.tested)
    order = np.argsort(metrics_of(data, whole)[1][places, 0], kind="stable")
    count = min(CONCEPTS, len(places) // 2)
    scored, aligned = np.flatnonzero(~np.isnan(data.scores)), data.saliency
    removed = max(1, int(np.ceil(SHARE * len(scored))) - 1)
    rng = np.random.default_rng(seed)
    gone = []
    for chosen in (order[::-1][:count], order[:count]):
        alignment = np.asarray(aligned[:, chosen].sum(axis=1)).ravel()[scored]
        gone.append(scored[np.argsort(-alignment, kind="stable")[:removed]])
    gone += [rng.choice(scored, removed, replace=False) for _ in range(RANDOM)]
    masks = np.repeat(whole, len(gone) + 1, axis=1)
    for column, items in enumerate(gone, 1):
        masks[items, column] = False
    median = np.nanmedian(metrics_of(data, masks)[1][data.ranked], axis=0)
    best, worst, *chance = (median[1:] - median[0]).tolist()
    low, high = np.quantile(chance, [0.025, 0.975]).tolist()
    return {"best": Removal(count, removed, best, low, high), "worst": Removal(count, removed, worst, low, high)}


def over_splits(values: Sequence[float]) -> dict[str, float]:
    """Return the mean and middle 95% (``low``, ``high``) of values by split, and the number of defined ``splits``.

    Splits overlap, so the range shows how steady a figure is, not its error.
    """
    known = np.asarray([value for value in values if not np.isnan(value)])
    if not len(known):
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan"), "splits": 0}
    low, high = np.quantile(known, [0.025, 0.975]).tolist()
    return {"mean": float(known.mean()), "low": low, "high": high, "splits": len(known)}


def halves(
    data: RunData, *, splits: int = SPLITS, fits: int | None = None, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Return how well random halves of every benchmark agree; clusters stay whole.

    Returns
    -------
    dict
        :func:`over_splits` of ``chi_model_correlation`` (Pearson, between the halves, over the tested concepts),
        ``auc`` (of failure on the second half, predicted from the concepts' saliencies and the baseline),
        ``auc_baseline`` (predicted from the benchmark and, for outcomes against peers, from the expected score) and
        ``auc_gain`` (their difference, split by split).
    """
    rng = np.random.default_rng(seed)
    masks = np.stack([data.draw(0.5, rng) for _ in range(splits)], axis=1)
    first, second = (metrics_of(data, mask)[1][data.tested] for mask in (masks, ~masks))
    agree = [_correlation(a, b) for a, b in zip(first.T, second.T, strict=True)]
    fitted = [
        _predicted(data.of_items(mask), data.of_items(~mask)) for mask in masks.T[: FITS if fits is None else fits]
    ]
    values = {
        "chi_model_correlation": agree,
        "auc": [one for one, _ in fitted],
        "auc_baseline": [other for _, other in fitted],
        "auc_gain": [one - other for one, other in fitted],
    }
    return {name: over_splits(mask) for name, mask in values.items()}


def _predicted(first: RunData, second: RunData) -> tuple[float, float]:
    """Return the AUC of the second half's failures with concepts and without; NaN if a half has only failures or none.

    The concepts' logistic regression starts from the baseline's log odds, so that it has to add to them.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    first, second = (half.of_items(~np.isnan(half.scores)) for half in (first, second))
    failed, truth = first.failed, second.failed
    folds = min(3, *(len(np.unique(first.cluster[failed == kind])) for kind in (False, True)))
    if folds < 2 or len(set(truth.tolist())) < 2:
        return float("nan"), float("nan")
    count = int(max(first.benchmark.max(), second.benchmark.max())) + 1
    known = [np.eye(count)[half.benchmark] for half in (first, second)]
    if first.expected is not None and second.expected is not None:
        known = [np.column_stack([known[0], first.expected]), np.column_stack([known[1], second.expected])]
    baseline = LogisticRegression(C=100, max_iter=1000).fit(known[0], failed)
    odds = [baseline.decision_function(features_known) for features_known in known]
    # The penalty hardly weighs on a column that is as wide as this.
    features, others = (
        sp.csr_array(sp.hstack([10 * sp.csr_array(odd[:, None]), half.saliency], format="csr"))
        for odd, half in zip(odds, (first, second), strict=True)
    )
    model = GridSearchCV(
        LogisticRegression(max_iter=300),
        {"C": [0.003, 0.01, 0.03, 0.1]},
        scoring="neg_log_loss",
        # Items are ordered by benchmark: unshuffled folds would hold out whole benchmarks.
        cv=StratifiedGroupKFold(folds, shuffle=True, random_state=0),
    )
    model.fit(features, failed, groups=first.cluster)
    return float(roc_auc_score(truth, model.predict_proba(others)[:, 1])), float(roc_auc_score(truth, odds[1]))


MATCHED = 0.5
"""Minimum correlation over the items for two concepts to count as the same."""


def agreement(run: RunFolder, other: RunFolder, data: RunData, other_data: RunData) -> dict[str, Any]:
    """Return how well two runs agree.

    Returns
    -------
    dict
        ``against`` (the other's name), ``same_sae`` (True: concepts are compared by number; False: they are matched by
        their activation over the items), ``items`` (in both, by benchmark and id), ``concepts`` (tested here),
        ``matched`` (pairs of tested concepts that are compared: with another SAE mutual best matches with a correlation
        of at least ``MATCHED``), ``median_correlation`` (of these matches; None: same SAE), ``chi_model_correlation``
        (Pearson, on the shared items), ``association_correlation``, ``failure`` (pairs that go with failure here),
        ``failure_in_both``, and the Kolmogorov-Smirnov distances ``chi_model_distance`` and ``chi_bench_distance`` of
        the two distributions.

    Raises
    ------
    UserError
        If the runs share no item or no tested concept.
    """
    shared = sorted(set(data.ids) & set(other_data.ids))
    if not shared:
        raise UserError(
            f"{str(run.path)!r} and {str(other.path)!r} have no item in common (benchmark and id): "
            f"the run to compare with must be of the same items."
        )
    here, there = (
        side.of_items(np.array([row[item] for item in shared]))
        for side, row in ((one, {item: i for i, item in enumerate(one.ids)}) for one in (data, other_data))
    )
    same = run.manifest["sae"]["weights_sha256"] == other.manifest["sae"]["weights_sha256"]
    first = second = np.flatnonzero(here.tested & there.tested) if same else np.zeros(0, np.int64)
    correlation = None
    if not same:
        first, second, values = _matched(here, there)
        correlation = float(np.median(values)) if len(values) else None
    if not len(first):
        raise UserError(f"no tested concept of {str(run.path)!r} is found again in {str(other.path)!r}.")
    model = [metrics_of(side, np.ones((len(shared), 1), bool))[1][:, 0] for side in (here, there)]
    association = [side.concepts["association"].fill_null(float("nan")).to_numpy() for side in (run, other)]
    failure = [(side.concepts["performance_status"] == "failure").to_numpy() for side in (run, other)]
    return {
        "against": other.path.resolve().name,
        "same_sae": same,
        "items": len(shared),
        "concepts": int(here.tested.sum()),
        "matched": len(first),
        "median_correlation": correlation,
        "chi_model_correlation": _correlation(model[0][first], model[1][second]),
        "association_correlation": _correlation(association[0][first], association[1][second]),
        "failure": int(failure[0][first].sum()),
        "failure_in_both": int((failure[0][first] & failure[1][second]).sum()),
        **{f"{column}_distance": _distance(run, other, column) for column in ("chi_model", "chi_bench")},
    }


def _matched(data: RunData, other: RunData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tested concepts that are mutual best matches over the same items, with their correlation."""
    first, second = (_standard(side.saliency) for side in (data, other))
    means = [np.asarray(side.mean(axis=0)).ravel() for side in (first, second)]
    alike = (first.T @ second).toarray() / first.shape[0] - np.outer(*means)
    best, back = alike.argmax(axis=1), alike.argmax(axis=0)
    value = alike.max(axis=1)
    pairs = np.flatnonzero((back[best] == np.arange(len(best))) & (value >= MATCHED))
    return np.flatnonzero(data.tested)[pairs], np.flatnonzero(other.tested)[best[pairs]], value[pairs]


def _standard(rows: sp.csr_array) -> sp.csc_array:
    """Return columns divided by their standard deviation; 0 where a column is constant."""
    mean = np.asarray(rows.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(0.0, np.asarray(rows.power(2).mean(axis=0)).ravel() - mean**2))
    return sp.csc_array(rows @ sp.diags_array(np.where(spread > 1e-8, 1 / np.maximum(spread, 1e-8), 0.0)))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    known = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[known], y[known]
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else float("nan")


def _distance(run: RunFolder, other: RunFolder, column: str) -> float:
    from scipy.stats import ks_2samp

    values = [side.concepts.filter(pl.col("alive"))[column].drop_nulls().to_numpy() for side in (run, other)]
    return float(ks_2samp(*values).statistic) if all(len(side) for side in values) else float("nan")
