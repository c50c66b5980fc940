"""Subsampling [paper]: how far do the numbers move when a fifth of each benchmark is left out?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from competency_gaps.evidence import units_of
from competency_gaps.robustness.data import Part, RunData

DRAWS = 100
DROPPED = 0.2
TOP = 100
SHUFFLES = 5
"""Times that scores are dealt out anew, each for a fifth of the draws."""
CELLS = 16_000_000
"""Concepts x draws that are dense in memory at once: more draws are done in turns."""


@dataclass(frozen=True)
class Spread:
    """Standard deviation over the draws, summarised over concepts."""

    mean: float
    median: float
    p95: float
    concepts: int
    """Concepts that it is over: those with the value in every draw."""


@dataclass(frozen=True)
class Subsampling:
    """What the draws show."""

    draws: int
    dropped: float
    chi_model: Spread
    chi_model_tested: Spread
    """The same over the tested concepts only: those with enough data to be ranked."""
    chi_bench: Spread
    top: int
    """Length of the list whose stability is measured: the tested concepts with the lowest gaps."""
    jaccard: float
    """Mean over the draws of |A and B| / |A or B| of the list of the draw and that of all items, in [0, 1]."""
    jaccard_by_chance: float
    """The same where the outcomes are dealt out anew within each benchmark and stratum, so that there is nothing to
    find: most of the items are in both lists, so that even then they overlap."""


def subsample(data: RunData, *, draws: int = DRAWS, dropped: float = DROPPED, seed: int = 0) -> Subsampling:
    """Draw subsets of every benchmark and compute every metric on each: sparse-times-dense products for all draws.

    Parameters
    ----------
    dropped
        Share of each benchmark's clusters that a draw leaves out.
    """
    masks = _masks(data, draws, dropped, seed)
    top = min(TOP, int(data.tested.sum()) // 2)
    moments = {name: _Moments(len(data.alive)) for name in ("model", "bench")}
    overlap = _overlap(data, masks, top, moments)
    rng = np.random.default_rng(seed + 1)
    each = max(1, draws // SHUFFLES)
    shuffled = []
    for turn in range(SHUFFLES):
        own = [mask[:, turn * each : (turn + 1) * each] for mask in masks]
        if own[0].shape[1]:
            shuffled.append(_overlap(_shuffled(data, rng), own, top, None))
    return Subsampling(
        draws,
        dropped,
        moments["model"].spread(data.alive),
        moments["model"].spread(data.tested),
        moments["bench"].spread(data.alive),
        top,
        overlap,
        float(np.mean(shuffled)),
    )


def _overlap(data: RunData, masks: list[np.ndarray], top: int, moments: dict[str, _Moments] | None) -> float:
    """Mean Jaccard overlap of the draws' lists with the list of all items; the draws' metrics go into ``moments``."""
    counted = _counted(data)
    every = [np.ones((len(part.scores), 1)) for part in data.parts]
    whole = _lowest(_metrics(data, counted, every)[2][:, 0], data.tested, top)
    overlaps: list[float] = []
    step = max(1, CELLS // len(data.alive))
    for start in range(0, masks[0].shape[1], step):
        part = [mask[:, start : start + step].astype(np.float64) for mask in masks]
        bench, model, gap = _metrics(data, counted, part)
        if moments is not None:
            moments["model"].add(model)
            moments["bench"].add(bench)
        for draw in range(gap.shape[1]):
            other = _lowest(gap[:, draw], data.tested, top)
            overlaps.append(len(whole & other) / len(whole | other) if top else float("nan"))
    return float(np.mean(overlaps))


def _shuffled(data: RunData, rng: np.random.Generator) -> RunData:
    """The same run with the clusters' outcomes dealt out anew within each benchmark and stratum."""
    units = units_of(data.sample())
    order = np.lexsort((rng.random(len(units.block)), units.block))
    outcome = np.empty(len(order))
    outcome[np.argsort(units.block, kind="stable")] = units.outcome[order]
    scores = np.where(units.unit >= 0, outcome[units.unit], np.nan)
    each = np.split(scores, np.cumsum([len(part.scores) for part in data.parts])[:-1])
    return replace(data, parts=tuple(p._replace(scores=s) for p, s in zip(data.parts, each, strict=True)))


def _masks(data: RunData, draws: int, dropped: float, seed: int) -> list[np.ndarray]:
    """Which items each draw keeps, per part: bool of shape (items, draws)."""
    rng = np.random.default_rng(seed)
    kept = [data.draw(1 - dropped, rng) for _ in range(draws)]
    return [np.stack(masks, axis=1) for masks in zip(*kept, strict=True)]


class _Counted(NamedTuple):
    """How a part's items count towards gaps."""

    share: np.ndarray
    """float64 of shape (items,): part of an item's CAS that counts, so that repeats count once; 0 where it is
    unscored or compared with nothing."""
    residual: np.ndarray
    """float64 of shape (items,): its cluster's outcome less its block's mean over all items; 0 as above."""


def _counted(data: RunData) -> list[_Counted]:
    """Give each part's shares and residuals."""
    units = units_of(data.sample())
    size = np.bincount(units.block)
    mean = np.bincount(units.block, units.outcome) / np.maximum(1, size)
    # A unit alone in its block is compared with nothing.
    known = (units.unit >= 0) & (size[units.block] > 1)[units.unit]
    residual = np.where(known, (units.outcome - mean[units.block])[units.unit], 0.0)
    bounds = np.cumsum([len(part.scores) for part in data.parts])[:-1]
    share = np.where(known, units.share, 0.0)
    return [_Counted(*both) for both in zip(np.split(share, bounds), np.split(residual, bounds), strict=True)]


def _metrics(
    data: RunData, counted: list[_Counted], masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """chi_bench, chi_model and gap for each draw: three float64 arrays of shape (concepts, draws).

    With every item kept, the gap is that of :func:`~competency_gaps.evidence.evidence`.
    """
    shape = (len(data.alive), masks[0].shape[1])
    bench, model, defined, excess, weight = (np.zeros(shape) for _ in range(5))
    pooled, used = data.metrics.average == "pooled", 0
    for part, own, mask in zip(data.parts, counted, masks, strict=True):
        if not len(part.scores):
            continue
        used += 1
        sums = _part_sums(part, own, mask)
        bench += sums.cas * _unit(data, part, mask, sums.cas)
        known = sums.scored > 0
        # Pooled: one ratio of sums over all benchmarks; else the mean of the benchmarks' ratios.
        model += sums.score if pooled else np.divide(sums.score, sums.scored, out=np.zeros(shape), where=known)
        defined += sums.scored if pooled else known
        excess += sums.excess
        weight += sums.counted
    return (
        bench / max(1, used),
        np.divide(model, defined, out=np.full(shape, np.nan), where=defined > 0),
        np.divide(excess, weight, out=np.full(shape, np.nan), where=weight > 0),
    )


def _unit(data: RunData, part: Part, mask: np.ndarray, cas: np.ndarray) -> np.ndarray:
    """``1 / (items M_b)`` of every draw: what turns a sum of CAS into chi_bench."""
    items, total = mask.sum(axis=0), cas.sum(axis=0)
    if data.metrics.normaliser == "none":
        return np.divide(1.0, items, out=np.zeros_like(total), where=items > 0)
    if data.metrics.normaliser == "nonzero":
        pairs = np.diff(part.cas.indptr) @ mask
        return np.divide(pairs, total * items, out=np.zeros_like(total), where=total > 0)
    return np.divide(float(data.alive.sum()), total, out=np.zeros_like(total), where=total > 0)


class _PartSums(NamedTuple):
    """Sums over the items that each draw keeps: float64 of shape (concepts, draws)."""

    cas: np.ndarray
    """``sum w``."""
    scored: np.ndarray
    """``sum w`` over scored items."""
    score: np.ndarray
    """``sum w s``."""
    counted: np.ndarray
    """``sum w`` over scored items, repeats counted once."""
    excess: np.ndarray
    """``sum w r``, repeats counted once."""


def _part_sums(part: Part, counted: _Counted, mask: np.ndarray) -> _PartSums:
    """Add up every draw's items in one product; columns that would come twice are computed once."""
    known = ~np.isnan(part.scores)
    scored = mask * known[:, None]
    columns = [mask, scored * np.where(known, part.scores, 0.0)[:, None]]
    columns.append(scored * (counted.share * counted.residual)[:, None])
    whole, alone = bool(known.all()), np.array_equal(counted.share, known)
    if not whole:
        columns.append(scored)
    if not alone:
        columns.append(scored * counted.share[:, None])
    product = np.asarray(part.cas.T @ np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32))
    cas, score, excess, *further = (one.astype(np.float64) for one in np.split(product, len(columns), axis=1))
    weight = cas if whole else further[0]
    return _PartSums(cas, weight, score, weight if alone else further[-1], excess)


def _lowest(values: np.ndarray, among: np.ndarray, top: int) -> set[int]:
    """The concepts with the lowest values."""
    chosen = np.flatnonzero(among & ~np.isnan(values))
    return set(chosen[np.argsort(values[chosen], kind="stable")[:top]].tolist())


class _Moments:
    """Mean and variance per concept over draws that come in turns."""

    def __init__(self, size: int) -> None:
        self._count = np.zeros(size)
        self._mean = np.zeros(size)
        self._scatter = np.zeros(size)
        self._draws = 0

    def add(self, values: np.ndarray) -> None:
        """Add draws: shape (concepts, draws); NaN = undefined in that draw."""
        for column in values.T:
            known = ~np.isnan(column)
            self._draws += 1
            self._count += known
            delta = np.where(known, column - self._mean, 0.0)
            self._mean += np.divide(delta, self._count, out=np.zeros_like(delta), where=self._count > 0)
            self._scatter += np.where(known, delta * (column - self._mean), 0.0)

    def spread(self, among: np.ndarray) -> Spread:
        """Summarise the standard deviations over concepts."""
        always = among & (self._count == self._draws) & (self._draws > 1)
        values = np.sqrt(self._scatter[always] / (self._draws - 1))
        if not len(values):
            return Spread(float("nan"), float("nan"), float("nan"), 0)
        return Spread(float(values.mean()), float(np.median(values)), float(np.quantile(values, 0.95)), len(values))
