"""Item weights under which slices count alike, and what they change [ours].

A benchmark's mean counts a subject by how many items somebody found of it. Weights are raked: each set of slices in
turn is scaled to equal sums (iterative proportional fitting; Deming and Stephan, Annals of Mathematical Statistics 11,
1940), held between ``1 / cap`` and ``cap`` of the mean weight. Without the bound they have the least Kullback-Leibler
divergence from equal weights of all that even out the slices.

Models are compared in pairs, on the items that both are scored on, so that a missing score is no difficulty.
Differences are linear in the clusters of items, whose squares give their variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.optimize import brentq

from competency_gaps.dictionary.atlas import members_of
from competency_gaps.errors import UserError, argument
from competency_gaps.evidence.interval import quantile
from competency_gaps.evidence.sums import effective_sample
from competency_gaps.files import write_atomic
from competency_gaps.findings.coverage import LEVEL
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices.family import LEAST
from competency_gaps.slices.store import stored_families

CAP = 5.0
ERROR = 0.05
ROUNDS = 500
"""Times that all sets of slices are raked, at most."""
REGIONS = "regions"


class Parts(NamedTuple):
    """A set of slices without common items. K slices, N items of ``items.parquet``."""

    what: str
    """``benchmark``, the question that a column's categories answer, or ``regions`` (of the atlas)."""
    names: list[str]
    label: np.ndarray
    """int64 of shape (N,): the item's slice; -1: in none, or excluded."""


@dataclass(frozen=True)
class Weights:
    """Item weights, and what they change. In parts of a score of 1."""

    over: tuple[str, ...]
    """Whose slices count alike: ``benchmark``, ``group``, ``regions``, ..."""
    cap: float
    items: pl.DataFrame = field(repr=False)
    """``benchmark``, ``item_id``, ``weight`` of each item: mean 1; null: excluded."""
    count: int
    """Items that are weighed."""
    effective: float
    """So many equally weighted independent items tell as much, repeats counted once."""
    before: float
    """The same at equal weights."""
    low: float
    """The least weight."""
    high: float
    slices: pl.DataFrame
    """``over``, ``slice``, ``items``, ``share`` of all items and ``weighted``, its share by weight."""
    models: pl.DataFrame
    """``model``, ``scored`` items, their ``mean`` and ``weighted`` mean; ``shift``, by how much it gains on the other
    models on common items, with ``low`` and ``high`` (95% for all models together; null: none has enough of them). Best
    mean first."""
    pairs: int
    """Pairs of models with at least ``LEAST`` common items."""
    swaps: pl.DataFrame
    """Pairs whose order changes: ``ahead`` and ``behind`` without weights, ``difference`` (``low``, ``high``) and
    ``weighted`` (``weighted_low``, ``weighted_high``; 95% each), ``sure``: both differ from 0 by intervals that hold
    for all pairs together."""

    def write(self, path: Path) -> None:
        """Write ``items`` as Parquet."""
        write_atomic(path, self.items.write_parquet)


def parts_of(run: RunFolder, what: str | None = None) -> Parts | None:
    """The slices that people divide a run by: benchmarks; of one its groups, else regions of the atlas; None: none.

    Parameters
    ----------
    what
            ``benchmark``, ``group`` or another question of a column, or ``regions``; None: the first of these.
    """
    kept = run.items["excluded"].is_null().to_numpy()
    family = next((family for family in stored_families(run) if family.name == "columns"), None)
    questions = [] if family is None else list(map(str, family.question))
    known = [
        *(own for own in ("benchmark", "group") if own in questions),
        *([REGIONS] if run.regions is not None else []),
    ]
    wanted = what or next(iter([*known, *questions]), None)
    label = np.full(run.items.height, -1)
    if family is not None and wanted in questions:
        rows = [row for row, question in enumerate(questions) if question == wanted]
        for place, row in enumerate(rows):
            label[family.weights[[row]].indices] = place
        return Parts(str(wanted), [family.names[row] for row in rows], label)
    if wanted != REGIONS or run.regions is None or run.item_regions is None:
        return None
    finest = run.item_regions["region"].fill_null(-1).to_numpy().astype(np.int64)
    inside = members_of(run.regions["parent"].fill_null(-1).to_numpy(), finest) & kept
    large = (run.regions["level"].to_numpy() == LEVEL) & (inside.sum(axis=1) >= LEAST)
    rows = np.flatnonzero(large).tolist()
    for place, row in enumerate(rows):
        label[inside[row]] = place
    return Parts(REGIONS, [run.regions["name"][row] for row in rows], label) if len(rows) > 1 else None


def weights(run: RunFolder, over: Sequence[str] | None = None, *, cap: float = CAP) -> Weights:
    """Weigh the items, as :meth:`competency_gaps.Run.weights` describes."""
    if not cap > 1:
        raise UserError(f"{argument('cap')} {cap}: expected a number above 1.")
    chosen = [parts_of(run, what) for what in over or (None,)]
    sets = [parts for parts in chosen if parts is not None]
    if len(sets) < len(chosen):
        columns = run.files.collect("slices", run.scan("slices").filter(family="columns").select("question"))
        known = ", ".join(map(repr, columns["question"].unique(maintain_order=True))) or "no columns"
        raise UserError(
            f"the run has no such slices to weigh. It has {known}; {REGIONS!r} needs an atlas with two "
            f"regions of at least {LEAST} items."
        )
    kept = run.items["excluded"].is_null().to_numpy()
    weight = np.full(len(kept), np.nan)
    weight[kept] = raked([parts.label[kept] for parts in sets], cap)
    _, cluster = np.unique(run.items["cluster"].to_numpy()[kept], return_inverse=True)
    sizes = [np.bincount(cluster, own) for own in (weight[kept], np.ones(kept.sum()))]
    effective, before = (float(effective_sample(own.sum(), (own**2).sum())) for own in sizes)
    slices = [
        {
            "over": parts.what,
            "slice": name,
            "items": int((inside := parts.label == place).sum()),
            "share": float(inside.sum() / kept.sum()),
            "weighted": float(weight[inside].sum() / kept.sum()),
        }
        for parts in sets
        for place, name in enumerate(parts.names)
    ]
    models, pairs, swaps = _changes(run, kept, weight[kept], cluster)
    return Weights(
        tuple(parts.what for parts in sets),
        cap,
        run.items.select("benchmark", "item_id", weight=pl.Series(weight).fill_nan(None)),
        int(kept.sum()),
        effective,
        before,
        float(np.nanmin(weight)),
        float(np.nanmax(weight)),
        pl.DataFrame(slices),
        models,
        pairs,
        swaps,
    )


def beside_regions(run: RunFolder, found: Weights) -> Weights | None:
    """Weights that even out the regions of the atlas, to stand beside others; None: these do, or there is nothing."""
    differ = found.pairs and run.regions is not None and found.over != (REGIONS,)
    return weights(run, [REGIONS]) if differ else None


def raked(labels: Sequence[np.ndarray], cap: float) -> np.ndarray:
    """Weights of mean 1 under which the slices of each set have equal sums, as far as the bound lets them.

    Parameters
    ----------
    labels : sequence of ndarray of int64 of shape (N,)
        Each item's slice of a set; -1: in none, which keeps a set's weight together.
    cap
        Weights lie in ``[1 / cap, cap]``.
    """
    weight = np.ones(len(labels[0]))
    for _ in range(ROUNDS):
        former = weight.copy()
        for label in labels:
            inside = label >= 0
            sums = np.bincount(label[inside], weight[inside])
            weight[inside] *= (sums.sum() / len(sums) / sums)[label[inside]]
        weight = _bounded(weight, cap)
        if np.abs(weight - former).max() < 1e-9:
            break
    return weight


def _bounded(weight: np.ndarray, cap: float) -> np.ndarray:
    """The weights times a factor, cut at the bounds, so that their mean is 1."""

    def cut(log_factor: float) -> np.ndarray:
        return np.clip(weight * np.exp(log_factor), 1 / cap, cap)

    ends = np.log(1 / cap / weight.max()), np.log(cap / weight.min())
    return cut(float(brentq(lambda factor: cut(factor).mean() - 1, *ends, xtol=1e-13)))


class Paired(NamedTuple):
    """Differences of M models over the items that both of a pair are scored on, each with its standard error."""

    plain: np.ndarray
    """float64 of shape (2, M, M): mean of a row's model less a column's, and its error; NaN: too few common items."""
    weighted: np.ndarray
    shift: np.ndarray
    """float64 of shape (2, M): by how much a model gains on the others by the weights, on average; NaN: no pair."""


def paired(scores: np.ndarray, weight: np.ndarray, cluster: np.ndarray) -> Paired:
    """Compare models in pairs; weighted means are linearised as ratios, and clusters of items are independent.

    Parameters
    ----------
    scores : ndarray of float64 of shape (M, N)
        NaN = unscored.
    weight : ndarray of float64 of shape (N,), positive
    cluster : ndarray of int64 of shape (N,)
        Of items that repeat each other, numbered from 0; fewer than ``LEAST`` common ones say nothing of a pair.
    """
    models, known = len(scores), ~np.isnan(scores)
    gather = sp.csr_array((np.ones(len(cluster)), (np.arange(len(cluster)), cluster)))
    plain, weighted, shift = (np.full(shape, np.nan) for shape in ((2, models, models),) * 2 + ((2, models),))
    for model in range(models):
        both = known & known[model]
        difference = np.where(both, scores[model] - np.where(known, scores, 0), 0.0)
        enough = ((both @ gather) > 0).sum(axis=1) >= LEAST
        enough[model] = False
        if not enough.any():
            continue
        found = []
        for table, own in ((plain, np.ones(len(weight))), (weighted, weight)):
            share = both[enough] * own
            share /= share.sum(axis=1, keepdims=True)
            mean = (share * difference[enough]).sum(axis=1)
            error = (share * (difference[enough] - mean[:, None])) @ gather
            table[:, model, enough] = mean, np.sqrt((error**2).sum(axis=1))
            found.append((mean, error))
        (mean, error), (even, even_error) = found
        shift[:, model] = (even - mean).mean(), np.sqrt(((even_error - error).mean(axis=0) ** 2).sum())
    return Paired(plain, weighted, shift)


def _changes(
    run: RunFolder, kept: np.ndarray, weight: np.ndarray, cluster: np.ndarray
) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """``models``, ``pairs`` and ``swaps``."""
    scores = model_scores(run)
    values = scores.values[:, kept]
    known = ~np.isnan(values)
    rows = np.flatnonzero(known.any(axis=1))
    values, known = values[rows], known[rows]
    found = paired(values, weight, cluster)
    pairs = int((~np.isnan(found.plain[0])).sum()) // 2
    right, share = np.where(known, values, 0), known * weight
    half = quantile(1 - ERROR / max(1, len(rows))) * found.shift[1]
    models = pl.DataFrame(
        {
            "model": [scores.models[row] for row in rows],
            "scored": known.sum(axis=1),
            "mean": right.sum(axis=1) / known.sum(axis=1),
            "weighted": (right * weight).sum(axis=1) / share.sum(axis=1),
            "shift": found.shift[0],
            "low": found.shift[0] - half,
            "high": found.shift[0] + half,
        },
        nan_to_null=True,
    )
    with np.errstate(invalid="ignore"):
        ahead, behind = np.nonzero((found.plain[0] > 0) & (found.weighted[0] < 0))
    (now, now_error), (then, then_error) = (table[:, ahead, behind] for table in (found.plain, found.weighted))
    one, all_ = quantile(1 - ERROR), quantile(1 - ERROR / max(1, pairs))
    swaps = pl.DataFrame(
        {
            "ahead": models["model"].gather(ahead),
            "behind": models["model"].gather(behind),
            "difference": now,
            "low": now - one * now_error,
            "high": now + one * now_error,
            "weighted": then,
            "weighted_low": then - one * then_error,
            "weighted_high": then + one * then_error,
            "sure": (now > all_ * now_error) & (then < -all_ * then_error),
        }
    )
    swaps = swaps.sort("sure", pl.col("weighted").abs(), descending=True)
    return models.sort("mean", descending=True), pairs, swaps
