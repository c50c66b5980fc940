"""Agreement of two runs on the same items: another SAE or layer [paper], other wording or another seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.stats import ks_2samp

from competency_gaps.errors import UserError
from competency_gaps.evidence import evidence
from competency_gaps.robustness.data import RunData
from competency_gaps.runs.open import RunFolder

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
    values = [side.concepts.filter(pl.col("alive"))[column].drop_nulls().to_numpy() for side in (run, other)]
    if not all(len(side) for side in values):
        return Distribution(float("nan"), float("nan"), float("nan"))
    return Distribution(float(np.median(values[0])), float(np.median(values[1])), float(ks_2samp(*values).statistic))
