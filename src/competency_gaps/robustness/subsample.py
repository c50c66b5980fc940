"""Subsampling [paper]: how far do the numbers move when a fifth of each benchmark is left out?"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    residuals = _residuals(data)
    every = [np.ones((len(part.scores), 1)) for part in data.parts]
    whole = _lowest(_metrics(data, residuals, every)[2][:, 0], data.tested, top)
    overlaps: list[float] = []
    step = max(1, CELLS // len(data.alive))
    for start in range(0, masks[0].shape[1], step):
        part = [mask[:, start : start + step].astype(np.float64) for mask in masks]
        bench, model, gap = _metrics(data, residuals, part)
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


def _residuals(data: RunData) -> list[np.ndarray]:
    """Each item's outcome less its block's mean over all items; 0 where it is unscored; one array for each part."""
    units = units_of(data.sample())
    mean = np.bincount(units.block, units.outcome) / np.maximum(1, np.bincount(units.block))
    residual = np.where(units.unit >= 0, (units.outcome - mean[units.block])[units.unit], 0.0)
    return np.split(residual, np.cumsum([len(part.scores) for part in data.parts])[:-1])


def _metrics(
    data: RunData, residuals: list[np.ndarray], masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """chi_bench, chi_model and gap for each draw: three float64 arrays of shape (concepts, draws)."""
    shape = (len(data.alive), masks[0].shape[1])
    bench, model, defined, excess, weight = (np.zeros(shape) for _ in range(5))
    pooled, used = data.metrics.average == "pooled", 0
    for part, residual, mask in zip(data.parts, residuals, masks, strict=True):
        if not len(part.scores):
            continue
        used += 1
        cas, w, ws, wr = _part_sums(part, residual, mask)
        bench += cas * _unit(data, part, mask, cas)
        known = w > 0
        # Pooled: one ratio of sums over all benchmarks; else the mean of the benchmarks' ratios.
        model += ws if pooled else np.divide(ws, w, out=np.zeros(shape), where=known)
        defined += w if pooled else known
        excess += wr
        weight += w
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


def _part_sums(
    part: Part, residual: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``sum w`` over kept and over scored items, ``sum w s``, and ``sum w r``, of every draw: one product."""
    known = ~np.isnan(part.scores)
    s = np.where(known, part.scores, 0.0)[:, None]
    scored = mask * known[:, None]
    columns = [mask, scored * s, scored * residual[:, None], *([] if known.all() else [scored])]
    product = np.asarray(part.cas.T @ np.ascontiguousarray(np.concatenate(columns, axis=1), dtype=np.float32))
    found = [one.astype(np.float64) for one in np.split(product, len(columns), axis=1)]
    return found[0], found[-1] if len(found) > 3 else found[0], found[1], found[2]


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
