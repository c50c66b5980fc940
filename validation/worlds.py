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
from scipy.stats import rankdata

import competency_gaps
from competency_gaps.evidence import Covariate, ItemSample, sample_of
from competency_gaps.robustness.data import run_data

LEVELS = (0.3, 0.9)
"""Chances of the hardest and the easiest benchmark where they do not depend on length."""
LEAST, MOST = 100.0, 0.05
"""Least n_eff of a planted concept, and the largest share of items in which it is active."""
ALIKE = 0.5
"""Two concepts whose saliencies correlate over the items at least this much are one group."""
SIZES = (2, 30)
"""Items of a drawn cluster; their logarithm is uniform."""
CLUSTERED = 1 / 3
"""Share of each benchmark's items that lie in drawn clusters."""
ALIKE_LUCK = 0.5
"""Correlation of two scores of a drawn cluster; repeats of one text get the same score."""
DIFFICULTY = 0.5
"""Variance of beta-distributed chances, as a share of the largest that their mean allows."""


@dataclass(frozen=True)
class World:
    """The real part: items and their concepts."""

    sample: ItemSample
    """With the run's clusters and lengths; its scores are not used."""
    cas: sp.csr_array
    """Shape (items, concepts)."""
    saliency: sp.csc_array
    """Of all concepts, shape (items, concepts)."""
    texts: list[str]
    eligible: np.ndarray
    """Concepts that are ranked."""
    plantable: np.ndarray
    """Of these, concepts that may be planted."""
    on: sp.csc_array
    """Where a concept is at or above the median of its activations: 1, of shape (items, concepts)."""
    norms: np.ndarray
    """Mean and standard deviation of each concept's saliency, shape (2, concepts)."""
    length: np.ndarray
    """Tokens of each item's span."""

    @property
    def benchmark(self) -> np.ndarray:
        """Number of each item's benchmark."""
        return self.sample.benchmark

    def alike(self, concept: int) -> np.ndarray:
        """Which concepts are in a concept's group: bool of shape (concepts,)."""
        column = self.saliency[:, [concept]].toarray()[:, 0]
        mean, spread = self.norms
        covariance = np.asarray(self.saliency.T @ column) / len(column) - mean * mean[concept]
        scale = spread * spread[concept]
        return np.divide(covariance, scale, out=np.zeros(len(mean)), where=scale > 0) >= ALIKE

    def of_concepts(self, chosen: np.ndarray) -> World:
        """The same items with only some concepts."""
        cas, known = sp.csr_array(self.cas[:, chosen]), self.sample
        sample = sample_of(
            cas,
            known.scores,
            known.benchmark,
            cluster=known.cluster,
            repeats=known.repeats,
            covariates=known.covariates,
        )
        return replace(
            self,
            sample=sample,
            cas=cas,
            saliency=sp.csc_array(self.saliency[:, chosen]),
            eligible=self.eligible[chosen],
            plantable=self.plantable[chosen],
            on=sp.csc_array(self.on[:, chosen]),
            norms=self.norms[:, chosen],
        )

    def any_on(self, concepts: np.ndarray) -> np.ndarray:
        """Items in which one of the concepts is on: bool of shape (items,)."""
        return np.asarray(self.on[:, concepts].sum(axis=1)).ravel() > 0


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


def world_of(path: Path) -> World:
    """Read a finished run."""
    run = competency_gaps.open_run(path)
    data = run_data(run)
    cas = sp.csr_array(sp.vstack([part.cas for part in data.parts], format="csr"))
    rows = sp.csr_array(cas, dtype=np.float64)
    rows.data = np.tanh(rows.data / (2 * data.tau[rows.indices]))
    saliency = sp.csc_array(rows)
    mean = np.asarray(saliency.mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(0, np.asarray(saliency.power(2).mean(axis=0)).ravel() - mean**2))
    support = np.diff(sp.csc_array(cas).indptr)
    weight, squares = (np.asarray(m.sum(axis=0)).ravel() for m in (cas, cas.power(2)))
    n_eff = np.divide(weight**2, squares, out=np.zeros(len(weight)), where=squares > 0)
    kept = run.items.filter(run.items["excluded"].is_null())
    length = kept["n_span_tokens"].to_numpy().astype(np.float64)
    sample = replace(data.sample(), covariates=(Covariate("length", length),))
    return World(
        sample,
        cas,
        saliency,
        kept["prompt"].to_list(),
        data.ranked,
        data.ranked & (n_eff >= LEAST) & (support <= max(MOST * len(length), 2.5 * LEAST)),
        _binary(cas),
        np.stack([mean, spread]),
        length,
    )


def _binary(cas: sp.csr_array) -> sp.csc_array:
    columns = sp.csc_array(cas)
    on = np.zeros(columns.nnz, np.int8)
    for start, stop in itertools.pairwise(columns.indptr):
        if stop > start:
            on[start:stop] = columns.data[start:stop] >= np.median(columns.data[start:stop])
    made = sp.csc_array((on, columns.indices, columns.indptr), shape=columns.shape)
    made.eliminate_zeros()
    return made


def within(values: np.ndarray, benchmark: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a function to each benchmark's values."""
    out = np.zeros(len(values))
    for number in np.unique(benchmark):
        out[benchmark == number] = of(values[benchmark == number])
    return out


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in (0, 1); equal values share theirs."""
    return np.asarray((rankdata(values) - 0.5) / len(values))


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
