"""Tests that remove items: a fifth of each benchmark [paper], or those most aligned with concepts [paper]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from competency_gaps.evidence import Units
from competency_gaps.robustness.data import Part, RunData

DRAWS = 100
DROPPED = 0.2
"""Share of each benchmark's clusters that a draw leaves out."""
TOP = 100
SHUFFLES = 5
"""Number of permutations of the scores, each used for a fifth of the draws."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations over the draws, summarised over concepts."""

    mean: float
    median: float
    p95: float
    concepts: int
    """Concepts whose value is defined in every draw."""

    @staticmethod
    def of(values: np.ndarray) -> Spread:
        """Summarise values of shape (concepts, draws); NaN = undefined in that draw."""
        always = values[~np.isnan(values).any(axis=1)]
        if values.shape[1] < 2 or not len(always):
            return Spread(float("nan"), float("nan"), float("nan"), 0)
        deviation = always.std(axis=1, ddof=1)
        low, high = float(np.median(deviation)), float(np.quantile(deviation, 0.95))
        return Spread(float(deviation.mean()), low, high, len(deviation))


@dataclass(frozen=True)
class Subsampling:
    """Results over the draws."""

    draws: int
    dropped: float
    chi_model: Spread
    chi_model_tested: Spread
    """The same over the tested concepts only."""
    chi_bench: Spread
    top: int
    """Length of the list whose stability is measured: the tested concepts with the lowest gaps."""
    jaccard: float
    """Mean over the draws of the Jaccard index of a draw's list and that of all items, in [0, 1]."""
    jaccard_by_chance: float
    """The same with outcomes permuted within each benchmark and stratum: the lists overlap even without any effect,
    because they share most of the items."""


def subsample(data: RunData, *, draws: int = DRAWS, seed: int = 0) -> Subsampling:
    """Draw subsets of every benchmark and compute every metric on each, by sparse-times-dense products over draws."""
    masks = _masks(data, draws, seed)
    top = min(TOP, int(data.tested.sum()) // 2)
    rng = np.random.default_rng(seed + 1)
    outcomes = [data.units.outcome, *(_shuffled(data.units, rng) for _ in range(SHUFFLES))]
    counted = _counted(data, np.stack(outcomes, axis=1))
    every = [np.ones((len(part.scores), 1)) for part in data.parts]
    whole = [_lowest(gap[:, 0], data.tested, top) for gap in _metrics(data, counted, every)[2]]
    benches, models = [], []
    overlaps: tuple[list[float], list[float]] = ([], [])  # with the original outcomes, and with permuted ones
    for shuffle, turn in enumerate(np.array_split(np.arange(draws), SHUFFLES), start=1):
        both = [own.of_outcomes([0, shuffle]) for own in counted]
        bench, model, gaps = _metrics(data, both, [mask[:, turn].astype(np.float64) for mask in masks])
        benches.append(bench)
        models.append(model)
        for jaccards, all_items, gap in zip(overlaps, (whole[0], whole[shuffle]), gaps, strict=True):
            jaccards += [_jaccard(_lowest(column, data.tested, top), all_items) for column in gap.T]
    model = np.concatenate(models, axis=1)
    return Subsampling(
        draws,
        DROPPED,
        Spread.of(model[data.alive]),
        Spread.of(model[data.tested]),
        Spread.of(np.concatenate(benches, axis=1)[data.alive]),
        top,
        *(float(np.mean(jaccards)) for jaccards in overlaps),
    )


def _shuffled(units: Units, rng: np.random.Generator) -> np.ndarray:
    """The units' outcomes, permuted within each block: float64 of shape (units,)."""
    order = np.lexsort((rng.random(len(units.block)), units.block))
    outcome = np.empty(len(order))
    outcome[np.argsort(units.block, kind="stable")] = units.outcome[order]
    return outcome


def _jaccard(first: set[int], second: set[int]) -> float:
    return len(first & second) / len(first | second) if first | second else float("nan")


def _masks(data: RunData, draws: int, seed: int) -> list[np.ndarray]:
    """The items that each draw keeps, per part: bool of shape (items, draws)."""
    rng = np.random.default_rng(seed)
    kept = [data.draw(1 - DROPPED, rng) for _ in range(draws)]
    return [np.stack(masks, axis=1) for masks in zip(*kept, strict=True)]


class _Counted(NamedTuple):
    """How a part's items count towards gaps. R outcomes: original or permuted."""

    share: np.ndarray
    """float64 of shape (items,): share of an item's CAS that counts, so that repeats count once; 0 for unscored items
    and those alone in their block."""
    residual: np.ndarray
    """float64 of shape (items, R): outcome of the item's cluster, centred on its block's mean over all items; 0 where
    ``share`` is."""

    def of_outcomes(self, chosen: list[int]) -> _Counted:
        return _Counted(self.share, self.residual[:, chosen])


def _counted(data: RunData, outcomes: np.ndarray) -> list[_Counted]:
    """Give each part's shares and residuals; ``outcomes`` of shape (units, R)."""
    units = data.units
    size = np.bincount(units.block)
    # A unit alone in its block has nothing to be compared with.
    known = (units.unit >= 0) & (size[units.block] > 1)[units.unit]
    residual = np.zeros((len(known), outcomes.shape[1]))
    for i, outcome in enumerate(outcomes.T):
        mean = np.bincount(units.block, outcome) / np.maximum(1, size)
        residual[:, i] = np.where(known, (outcome - mean[units.block])[units.unit], 0.0)
    share = np.where(known, units.share, 0.0)
    return [_Counted(*both) for both in zip(data.split(share), data.split(residual), strict=True)]


def _metrics(
    data: RunData, counted: list[_Counted], masks: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """chi_bench, chi_model, and for each outcome the gap, of every draw: float64 arrays of shape (concepts, draws).

    With every item kept, the gap is that of :func:`~competency_gaps.evidence.evidence`.
    """
    shape = (len(data.alive), masks[0].shape[1])
    bench, model, defined, weight = (np.zeros(shape) for _ in range(4))
    excess = [np.zeros(shape) for _ in range(counted[0].residual.shape[1])]
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
        for total, own_excess in zip(excess, sums.excess, strict=True):
            total += own_excess
        weight += sums.counted
    return (
        bench / max(1, used),
        np.divide(model, defined, out=np.full(shape, np.nan), where=defined > 0),
        [np.divide(total, weight, out=np.full(shape, np.nan), where=weight > 0) for total in excess],
    )


def _unit(data: RunData, part: Part, mask: np.ndarray, cas: np.ndarray) -> np.ndarray:
    """``1 / (items M_b)`` of every draw, the factor from a sum of CAS to chi_bench."""
    items, total = mask.sum(axis=0), cas.sum(axis=0, dtype=np.float64)
    if data.metrics.normaliser == "none":
        return np.divide(1.0, items, out=np.zeros_like(total), where=items > 0)
    if data.metrics.normaliser == "nonzero":
        pairs = np.diff(part.cas.indptr) @ mask
        return np.divide(pairs, total * items, out=np.zeros_like(total), where=total > 0)
    return np.divide(float(data.alive.sum()), total, out=np.zeros_like(total), where=total > 0)


class _PartSums(NamedTuple):
    """Sums over the items that each draw keeps: float32 of shape (concepts, draws)."""

    cas: np.ndarray
    """``sum w``."""
    scored: np.ndarray
    """``sum w`` over scored items."""
    score: np.ndarray
    """``sum w s``."""
    counted: np.ndarray
    """``sum w`` over scored items, repeats counted once."""
    excess: list[np.ndarray]
    """``sum w r`` of each outcome, repeats counted once."""


def _part_sums(part: Part, counted: _Counted, mask: np.ndarray) -> _PartSums:
    """Sum over every draw's items in one product; equal columns are computed once."""
    known = ~np.isnan(part.scores)
    whole, alone = bool(known.all()), np.array_equal(counted.share, known)
    factors = [np.ones(len(known)), np.where(known, part.scores, 0.0)]
    factors += [counted.share * residual for residual in counted.residual.T]
    factors += [] if whole else [known]
    factors += [] if alone else [counted.share]
    # float32 like the products; there are many columns.
    kept = mask.astype(np.float32)
    columns = np.concatenate([kept * factor.astype(np.float32)[:, None] for factor in factors], axis=1)
    cas, score, *further = np.split(np.asarray(part.cas.T @ columns), len(factors), axis=1)
    outcomes = counted.residual.shape[1]
    scored = cas if whole else further[outcomes]
    return _PartSums(cas, scored, score, scored if alone else further[-1], further[:outcomes])


def _lowest(values: np.ndarray, among: np.ndarray, top: int) -> set[int]:
    """The concepts with the lowest values."""
    chosen = np.flatnonzero(among & ~np.isnan(values))
    return set(chosen[np.argsort(values[chosen], kind="stable")[:top]].tolist())


SHARE = 0.01
CONCEPTS = 100
RANDOM = 50


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


@dataclass(frozen=True)
class Ablation:
    """Both removals: of the best concepts' items, which should lower chi_model, and of the worst concepts' items."""

    best: Removal
    worst: Removal


def ablate(data: RunData, *, seed: int = 0) -> Ablation:
    """Remove the items most aligned with the 100 best and the 100 worst tested concepts, by chi_model.

    An item's alignment [ours] is the sum of its saliencies (nCAS) of these concepts.
    """
    before = data.chi_model()
    places = np.flatnonzero(data.tested)
    order = np.argsort(before[places], kind="stable")
    count = min(CONCEPTS, len(places) // 2)
    saliency = data.saliency()
    scored = ~np.isnan(data.scores)
    removed = max(1, int(np.ceil(SHARE * scored.sum())) - 1)
    rng = np.random.default_rng(seed)
    median = float(np.nanmedian(before[data.ranked]))

    def change(items: np.ndarray) -> float:
        kept = np.ones(len(scored), bool)
        kept[items] = False
        return float(np.nanmedian(data.of_items(data.split(kept)).chi_model()[data.ranked])) - median

    chance = [change(rng.choice(np.flatnonzero(scored), removed, replace=False)) for _ in range(RANDOM)]
    low, high = np.quantile(chance, [0.025, 0.975])
    removals = []
    for chosen in (order[::-1][:count], order[:count]):
        alignment = np.where(scored, np.asarray(saliency[:, chosen].sum(axis=1)).ravel(), -1.0)
        items = np.argsort(-alignment, kind="stable")[:removed]
        removals.append(Removal(count, removed, change(items), float(low), float(high)))
    return Ablation(*removals)
