"""Worlds of known truth: items and activations are those of a finished run, scores are drawn from known chances.

An item is answered correctly with probability ``base x factor``. Its base depends on its benchmark, and in confounded
worlds on its length, a random effect of its cluster ("luck") and its own difficulty; the factor is ``d`` where a
planted concept is on, else 1. Luck and difficulty do not change mean chances, so an interval must hold the chance
before luck is drawn.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.special import betaincinv, expit
from worlds import World, ranks, within

from competency_gaps.evidence import Covariate, ItemSample

LEVELS = (0.3, 0.9)
"""Chances of the hardest and the easiest benchmark where they do not depend on length."""
SIZES = (2, 30)
"""Items of a drawn cluster; their logarithm is uniform."""
CLUSTERED = 1 / 3
"""Share of each benchmark's items that lie in drawn clusters."""
ALIKE_LUCK = 0.5
"""Correlation of two scores of a drawn cluster; repeats of one text get the same score."""
DIFFICULTY = 0.5
"""Variance of beta-distributed chances, as a share of the largest that their mean allows."""


@dataclass(frozen=True)
class Confounder:
    """What scores depend on in addition to planted concepts."""

    name: str
    slope: str | None = None
    """A key of ``SLOPES``; None: chances do not depend on length."""
    luck: str | None = None
    """``repeats``: repeats of a text get the same score; ``drawn``: neighbours form clusters with a common luck; None:
    items are independent."""
    difficulty: str | None = None
    """``beta``: drawn; ``models``: as measured with real models; None: the items of a benchmark are equally hard."""
    with_concepts: bool = False
    """Difficulty correlates with the active concepts, and is a known covariate of the items."""


@dataclass(frozen=True)
class Draw:
    """One drawn world."""

    sample: ItemSample
    """Scores, clusters and covariates as a run would have them."""
    planted: np.ndarray
    harder: np.ndarray
    """bool of shape (items,): a planted concept is on."""
    base: np.ndarray
    """Chance of each item if nothing were planted, with its luck and difficulty."""
    chance: np.ndarray
    expected: np.ndarray
    """Chance before luck and difficulty were drawn."""


def _scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / max(1.0, float(np.ptp(values)))


SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda length: 0.9 - 0.8 * _scaled(length),
    "rank": lambda length: 0.9 - 0.8 * ranks(length),
    "logistic": lambda length: expit(-8 * (_scaled(length) - 0.5)),
    "wave": lambda length: 0.5 + 0.4 * np.sin(2 * np.pi * ranks(length)),
}
"""Chance by length, within each benchmark."""


def neighbours(world: World, rng: np.random.Generator) -> np.ndarray:
    """Draw clusters of 2 to 30 items of a benchmark with similar active concepts."""
    cluster = np.arange(len(world.length))
    rows = sp.csr_array(world.saliency)
    norm = np.sqrt(np.asarray(rows.power(2).sum(axis=1)).ravel())
    for number in np.unique(world.benchmark):
        own = np.flatnonzero(world.benchmark == number)
        unit = rows[own] / np.maximum(norm[own], 1e-12)[:, None]
        close = (unit @ unit.T).toarray()
        free = np.ones(len(own), bool)
        while free.sum() > (1 - CLUSTERED) * len(own):
            size = round(float(np.exp(rng.uniform(*np.log(SIZES)))))
            first = rng.choice(np.flatnonzero(free))
            chosen = np.argsort(-np.where(free, close[first], -1.0), kind="stable")[: min(size, int(free.sum()))]
            cluster[own[chosen]] = own[first]
            free[chosen] = False
    return cluster


def direction(world: World) -> np.ndarray:
    """Rank of each item along the first principal component of its benchmark's saliencies."""
    from scipy.sparse.linalg import svds

    rows = sp.csr_array(world.saliency)
    out = np.zeros(len(world.length))
    for number in np.unique(world.benchmark):
        own = np.flatnonzero(world.benchmark == number)
        part = rows[own].toarray()
        out[own] = ranks(svds(part - part.mean(axis=0), k=1, rng=np.random.default_rng(0))[0][:, 0])
    return out


def model_means(file: Path) -> np.ndarray | None:
    """Mean score of each item over models, from a table with columns ``id`` and one per model; None: no file."""
    if not file.is_file():
        return None
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row[1:] for row in itertools.islice(csv.reader(lines), 1, None)]
    means = [np.mean([float(value) for value in row if value]) for row in rows if any(row)]
    return np.asarray(means)


def _beta(mean: np.ndarray, quantile: np.ndarray, part: float) -> np.ndarray:
    """Quantiles of beta distributions with these means and variance ``part x mean (1 - mean)``."""
    total = 1 / part - 1
    mean = np.clip(mean, 0.01, 0.99)
    return np.asarray(betaincinv(mean * total, (1 - mean) * total, quantile))


def _as_models(mean: np.ndarray, quantile: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Quantiles of real items' mean scores, raised to the power that gives them the mean asked for."""
    powers = np.geomspace(0.02, 50, 200)
    reached = np.array([(means**power).mean() for power in powers])
    power = np.exp(np.interp(-mean, -reached, np.log(powers)))
    return np.asarray(np.quantile(means, quantile) ** power)


def draw(
    world: World,
    confounder: Confounder,
    count: int,
    d: float,
    seed: int,
    *,
    means: np.ndarray | None = None,
    axis: np.ndarray | None = None,
) -> Draw:
    """Draw one world.

    Parameters
    ----------
    count, d
        Number of planted concepts, and the factor on items where one is on.
    means, axis
        From :func:`model_means` and :func:`direction`; needed if the confounder uses them.
    """
    rng = np.random.default_rng((seed, count, round(100 * d)))
    items = len(world.length)
    planted = rng.choice(np.flatnonzero(world.plantable), count, replace=False)
    harder = world.any_on(planted)
    if confounder.slope is None:
        expected = rng.permutation(np.linspace(*LEVELS, int(world.benchmark.max()) + 1))[world.benchmark]
    else:
        expected = within(world.length, world.benchmark, SLOPES[confounder.slope])
    base, sample, die = expected, world.sample, rng.random(items)
    cluster = sample.cluster
    assert cluster is not None
    if confounder.luck == "drawn":
        cluster = neighbours(world, rng)
        base = np.where(np.bincount(cluster)[cluster] > 1, _beta(base, rng.random(items)[cluster], ALIKE_LUCK), base)
        sample = replace(sample, cluster=cluster, repeats=None)
    if confounder.luck == "repeats":
        _, first, own = np.unique(cluster, return_index=True, return_inverse=True)
        die = die[first][own]
    if confounder.difficulty is not None:
        quantile = rng.random(items)
        if confounder.with_concepts:
            assert axis is not None
            quantile = within(axis + rng.normal(0, 0.3, items), world.benchmark, ranks)
            sample = replace(sample, covariates=(*sample.covariates, Covariate("difficulty", quantile)))
        if confounder.difficulty == "beta":
            base = _beta(base, quantile, DIFFICULTY)
        else:
            assert means is not None
            base = _as_models(base, quantile, means)
    factor = np.where(harder, d, 1.0)
    scores = (die < base * factor).astype(np.float64)
    return Draw(replace(sample, scores=scores), planted, harder, base, base * factor, expected * factor)
