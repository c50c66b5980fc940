"""What repeats what: benchmarks, or one benchmark's subjects, by their concepts and by the models' scores [ours].

*Likeness* of two parts is the cosine of their mean concept activation scores (``chi_bench``). *Correlation* is that of
the models' means, over models, corrected for the noise of the means (Spearman, American Journal of Psychology 15,
1904); its interval is Fisher's. *Axes* are eigenvectors of the models' covariance over parts, less that noise; they
count if they are larger than where items are dealt to the parts at random among items of like difficulty, which leaves
one axis, the models' level, and noise (parallel analysis; Horn, Psychometrika 30, 1965). The *effective number* of
axes is ``(sum v)^2 / sum v^2`` of the eigenvalues. Whether likeness foretells correlation is Spearman's rank
correlation over pairs, beside that with the parts' names shuffled (Mantel, Cancer Research 27, 1967).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.stats import rankdata

from competency_gaps.concepts.atlas import members_of
from competency_gaps.concepts.scopes import LEVEL
from competency_gaps.evidence.interval import Estimate, quantile
from competency_gaps.evidence.sample import split_by_size
from competency_gaps.runs.open import RunFolder
from competency_gaps.runs.scores import model_scores
from competency_gaps.slices.family import MIN_ITEMS
from competency_gaps.slices.store import stored_families
from competency_gaps.util.errors import UserError

MIN_MODELS = 6
"""Models below which their scores say nothing of what repeats what."""
MIN_PARTS = 5
"""Parts below which no order of pairs is rarer than 1 in 24."""
DRAWS = 99
SHUFFLES = 1999
STRATA = 10
"""Of difficulty, within which items are dealt to other parts."""
RIDGE = np.geomspace(1e-4, 1.0, 9)
"""Penalties that are tried, in parts of the predictors' variance."""


class Parts(NamedTuple):
    """A set of slices without common items. K slices, N items of ``items.parquet``."""

    what: str
    """``benchmark``, the question that a column's categories answer, or ``regions`` (of the atlas)."""
    names: list[str]
    label: np.ndarray
    """int64 of shape (N,): the item's slice; -1: in none, or excluded."""


class Foretold(NamedTuple):
    """Whether parts that are alike in concepts are alike in the models' scores."""

    correlation: float
    """Spearman's, over pairs of parts."""
    low: float
    """Of 95% of shuffles of the parts' names."""
    high: float
    p_value: float
    """Of a correlation as large or larger."""


@dataclass(frozen=True)
class Redundancy:
    """What repeats what, of P parts. Differences are in parts of a score of 1."""

    what: str
    """What the parts are: ``benchmark``, ``group`` or another column, ``regions``."""
    models: tuple[str, ...]
    """Models that are scored on all parts; below :data:`MIN_MODELS` nothing is said of scores."""
    parts: pl.DataFrame
    """``part``, ``items``; ``like``, the part most alike in concepts, and ``likeness``; ``with``, the part whose scores
    surely go with it most, and ``surely``, the lower end of their correlation's interval; ``spread``, the standard
    deviation of the models' means; ``left``, what the other parts do not foretell of it; ``chance`` and ``most``, the
    same if items were dealt to parts at random (middle, and the 95% point over all parts); ``adds``: ``left`` exceeds
    ``most``. Of too few models the last five are missing."""
    pairs: pl.DataFrame
    """``a``, ``b``, ``likeness``; ``models`` that are scored on both, ``correlation`` of their means with ``low`` and
    ``high`` (95%); null: too few models, or more noise than differences."""
    foretold: Foretold | None
    """None: too few parts or models."""
    axes: pl.DataFrame | None = None
    """``axis``, ``share`` of the models' differences, ``most`` (95% point of the second if items were dealt to parts at
    random; null for the first, the models' level), ``up`` and ``down``: the parts that it sets against each other. The
    axes that count, and the next."""
    count: int | None = None
    """Axes that are larger than that, the first among them."""
    effective: Estimate | None = None
    """Effective number of axes; its interval of 95% is by the jackknife over models."""
    apart: float | None = None
    """Effective number if the parts had nothing in common: models shuffled within each."""


def parts_of(run: RunFolder, what: str | None = None) -> Parts | None:
    """The slices that people divide a run by: benchmarks; of one its groups, else regions of the atlas; None: none.

    Parameters
    ----------
    what
            ``benchmark``, ``group`` or another question of a column, or ``regions``; None: the first of these.
    """
    kept = run.items["excluded"].is_null().to_numpy()
    family = next((family for family in stored_families(run) if family.name == "columns"), None)
    questions = [] if family is None else list(map(str, family.column))
    known = {*questions, *(["regions"] if run.regions is not None else [])}
    wanted = what or next((column for column in ("benchmark", "group", "regions", *questions) if column in known), None)
    label = np.full(run.items.height, -1)
    if family is not None and wanted in questions:
        rows = [row for row, question in enumerate(questions) if question == wanted]
        for number, row in enumerate(rows):
            label[family.weights[[row]].indices] = number
        return Parts(str(wanted), [family.names[row] for row in rows], label)
    if wanted != "regions" or run.regions is None or run.item_regions is None:
        return None
    finest = run.item_regions["region"].fill_null(-1).to_numpy().astype(np.int64)
    inside = members_of(run.regions["parent"].fill_null(-1).to_numpy(), finest) & kept
    large = (run.regions["level"].to_numpy() == LEVEL) & (inside.sum(axis=1) >= MIN_ITEMS)
    rows = np.flatnonzero(large).tolist()
    for number, row in enumerate(rows):
        label[inside[row]] = number
    return Parts("regions", [run.regions["name"][row] for row in rows], label) if len(rows) > 1 else None


def redundancy(run: RunFolder, what: str | None = None, *, seed: int = 0) -> Redundancy:
    """What repeats what, as :meth:`competency_gaps.Run.redundancy` describes."""
    parts = parts_of(run, what)
    if parts is None or len(parts.names) < 2:
        raise UserError("there is nothing to compare: the run has a single benchmark without groups or regions.")
    scores, names = model_scores(run), pl.Series(parts.names)
    like = likeness(run, parts.label, len(names))
    units = units_of(scores.values, parts.label, run.items["cluster"].to_numpy())
    mean, noise = units.means()
    a, b = np.triu_indices(len(names), 1)
    both = (~np.isnan(mean[:, a]) & ~np.isnan(mean[:, b])).sum(axis=0)
    measured = [correlation(mean[:, pair], noise[:, pair]) for pair in np.stack([a, b], axis=1)]
    alike, surely = np.full((2, *like.shape), np.nan)
    alike[a, b] = alike[b, a] = [pair[0] for pair in measured]
    surely[a, b] = surely[b, a] = [pair[1] for pair in measured]
    pairs = {"a": names.gather(a), "b": names.gather(b), "likeness": like[a, b], "models": both}
    pairs |= dict(zip(("correlation", "low", "high"), np.transpose(measured), strict=True))
    sizes = np.bincount(parts.label[parts.label >= 0], minlength=len(names))
    table = {"part": names, "items": sizes, **_nearest(names, like, "like", "likeness")}
    table |= _nearest(names, surely, "with", "surely")
    whole = ~np.isnan(mean).any(axis=1)
    models = tuple(model for model, has in zip(scores.models, whole, strict=True) if has)
    columns, known = (
        ({}, {}) if len(models) < MIN_MODELS else axes_of(units.of(whole), names, np.random.default_rng(seed))
    )
    foretold = foretells(like, alike, seed)
    return Redundancy(parts.what, models, _frame(table | columns), _frame(pairs), foretold=foretold, **known)


def likeness(run: RunFolder, label: np.ndarray, count: int) -> np.ndarray:
    """Cosines of the parts' summed concept activation scores: shape (P, P), in [0, 1]; 0 where a part has none."""
    run.check_reading("Overlap by concepts")
    total, benchmark = np.zeros((count, run.width)), run.items["benchmark"].to_numpy()
    for name in run.benchmarks["benchmark"]:
        rows = np.flatnonzero(benchmark == name)
        for block in run.blocks(name):
            part = label[rows[block.items]]
            at = np.flatnonzero(part >= 0)
            total += sp.csr_array((np.ones(len(at)), (part[at], at)), shape=(count, len(part))) @ block.cas
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)
    return np.asarray(total @ total.T)


@dataclass(frozen=True)
class PartUnits:
    """Scores of M models less the models' mean score of the item, summed over a cluster's items in a part. U units."""

    total: np.ndarray
    """float64 of shape (M, U)."""
    count: np.ndarray
    """float64 of shape (M, U): scored items."""
    part: np.ndarray
    """int64 of shape (U,)."""
    stratum: np.ndarray
    """int64 of shape (U,): units of one stratum are of like difficulty and size."""
    parts: int
    """With those that no item with a score lies in."""

    def of(self, models: np.ndarray) -> PartUnits:
        total, count = (np.asfortranarray(sums[models]) for sums in (self.total, self.count))
        return replace(self, total=total, count=count)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """The models' means in each part, and the means' variances: two of shape (M, P); NaN: too few items."""
        part = self.part, self.parts
        whole, total, seen = (gathered(sums, *part) for sums in (self.count, self.total, self.count > 0))
        whole[seen < MIN_ITEMS] = np.nan
        mean = total / whole
        rest = self.total - np.where(np.isnan(mean), 0, mean)[:, self.part] * self.count
        return mean, gathered(rest**2, *part) / whole**2

    def dealt(self, rng: np.random.Generator) -> np.ndarray:
        """The models' means if units are dealt to the parts at random within strata: shape (M, P)."""
        part = np.empty_like(self.part)
        part[np.argsort(self.stratum, kind="stable")] = self.part[np.lexsort((rng.random(len(part)), self.stratum))]
        total, count = np.split(gathered(np.concatenate([self.total, self.count]), part, self.parts), 2)
        return total / np.maximum(count, 1)


def gathered(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sums over the columns of each group: shape (M, groups)."""
    rows = sp.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    return np.asarray((rows @ values.T.astype(np.float64, copy=False)).T)


def units_of(scores: np.ndarray, label: np.ndarray, cluster: np.ndarray) -> PartUnits:
    """Sum the scores of M models on N items, in [0, 1], NaN = unscored, over clusters within parts (-1: in none)."""
    inside = (label >= 0) & ~np.isnan(scores).all(axis=0)
    values = scores[:, inside]
    known = ~np.isnan(values)
    mean = np.nansum(values, axis=0) / known.sum(axis=0)
    pair, unit = np.unique(np.stack([label[inside], cluster[inside]]), axis=1, return_inverse=True)
    unit = unit.ravel()
    size = np.bincount(unit)
    rank = rankdata(np.bincount(unit, mean) / size, method="ordinal") - 1
    stratum = split_by_size(STRATA * rank // len(size), size)
    total, count = (gathered(values_, unit, len(size)) for values_ in (np.where(known, values - mean, 0), known))
    return PartUnits(total, count, pair[0], stratum, int(label.max(initial=-1)) + 1)


def covariance(mean: np.ndarray, noise: np.ndarray | None = None) -> np.ndarray:
    """Covariance of the parts over models, less the variances of the models' means if given: shape (P, P)."""
    centred = mean - mean.mean(axis=0)
    noise = np.zeros_like(mean) if noise is None else noise
    return np.asarray((centred.T @ centred - np.diag(noise.sum(axis=0))) / (len(mean) - 1))


def correlation(mean: np.ndarray, noise: np.ndarray) -> tuple[float, float, float]:
    """Correlation of two parts over models as if they had all their items, with its interval of 95%.

    The interval's lower end is that of the uncorrected correlation, which noise only lowers.

    Parameters
    ----------
    mean, noise : ndarray of float64 of shape (M, 2)
        Of each model, with the mean's variance; NaN = unknown.

    Returns
    -------
    tuple of three floats
        The correlation and its interval; NaN where fewer than :data:`MIN_MODELS` models are known, or more than half of
        a part's variance is noise.
    """
    known = ~np.isnan(mean).any(axis=1)
    models = int(known.sum())
    if models < MIN_MODELS:
        return (np.nan,) * 3
    seen, real = covariance(mean[known]), covariance(mean[known], noise[known])
    reliable = np.diag(real) / np.maximum(np.diag(seen), 1e-300)
    if reliable.min() < 0.5:
        return (np.nan,) * 3
    raw = float(seen[0, 1] / np.sqrt(np.prod(np.diag(seen))))
    middle, half = np.arctanh(np.clip(raw, -1 + 1e-12, 1 - 1e-12)), quantile(0.95) / np.sqrt(models - 3)
    factor = np.sqrt(np.prod(reliable))
    ends = raw / factor, np.tanh(middle - half), np.tanh(middle + half) / factor
    value, low, high = np.clip(ends, -1, 1).tolist()
    return value, low, high


def effective_number(mean: np.ndarray, noise: np.ndarray) -> float:
    """Effective number of axes: the square of the covariance's trace over its sum of squares."""
    matrix = covariance(mean, noise)
    return max(1.0, float(np.trace(matrix) ** 2 / (matrix**2).sum()))


def unforetold(mean: np.ndarray) -> np.ndarray:
    """What the other parts do not foretell of models' means: root mean squares, shape (P,).

    Ridge regression on the other parts, for each model from the others; of :data:`RIDGE` the best penalty.
    """
    models, parts = mean.shape
    centred, left = mean - mean.mean(axis=0), np.empty(parts)
    for part in range(parts):
        others = np.delete(centred, part, axis=1)
        value, vector = np.linalg.eigh(others @ others.T)
        keep = np.maximum(value, 0) / (np.maximum(value, 0) + RIDGE[:, None] * max(value.sum(), 1e-300))
        turned = vector.T @ centred[:, part]
        error = centred[:, part] - (keep * turned) @ vector.T
        error /= np.maximum(1 - 1 / models - keep @ (vector**2).T, 1e-9)
        left[part] = np.sqrt((error**2).mean(axis=1).min())
    return left


def axes_of(units: PartUnits, names: pl.Series, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """What at least :data:`MIN_MODELS` models' scores say: columns of ``parts``, and fields of :class:`Redundancy`."""
    mean, noise = units.means()
    models = len(mean)
    value, vector = np.linalg.eigh(covariance(mean))
    value, vector = value[::-1], vector[:, ::-1]
    drawn = [units.dealt(rng) for _ in range(DRAWS)]
    limit = float(np.quantile([np.linalg.eigvalsh(covariance(number))[-2] for number in drawn], 0.95))
    count = max(1, int((value > limit).sum()))
    shown = range(min(count + 1, len(value)))
    axes = {
        "axis": [axis + 1 for axis in shown],
        "share": [value[axis] / value.sum() for axis in shown],
        "most": [limit / value.sum() if axis else None for axis in shown],
        "up": [_extreme(names, vector[:, axis]) if axis else None for axis in shown],
        "down": [_extreme(names, -vector[:, axis]) if axis else None for axis in shown],
    }
    left, chance = unforetold(mean), np.array([unforetold(number) for number in drawn])
    middle = np.median(chance, axis=0)
    most = middle * np.quantile((chance / middle).max(axis=1), 0.95)
    parts = {"spread": mean.std(axis=0, ddof=1), "left": left, "chance": middle, "most": most, "adds": left > most}
    number = effective_number(mean, noise)
    without = [effective_number(np.delete(mean, m, axis=0), np.delete(noise, m, axis=0)) for m in range(models)]
    half = quantile(0.95) * np.sqrt((models - 1) * np.var(without))
    columns = np.arange(mean.shape[1])
    mixed = (rng.permuted(np.tile(np.arange(models)[:, None], len(columns)), axis=0) for _ in range(DRAWS))
    apart = float(np.mean([effective_number(mean[order, columns], noise[order, columns]) for order in mixed]))
    effective = Estimate(number, max(1.0, float(number - half)), float(number + half))
    return parts, {"axes": _frame(axes), "count": count, "effective": effective, "apart": apart}


def _extreme(names: pl.Series, loading: np.ndarray) -> list[str]:
    """The parts at one end of an axis, at most three."""
    beside = loading - loading.mean()
    return [names[int(at)] for at in np.argsort(-beside)[:3] if beside[at] > np.abs(beside).max() / 2]


def foretells(like: np.ndarray, alike: np.ndarray, seed: int = 0, shuffles: int = SHUFFLES) -> Foretold | None:
    """Whether one likeness of P parts goes with another: two arrays of shape (P, P), NaN = unknown."""
    parts = len(like)
    a, b = np.triu_indices(parts, 1)
    known = ~np.isnan(alike[a, b])
    if parts < MIN_PARTS or known.sum() < parts:
        return None
    a, b = a[known], b[known]
    rank = np.zeros(like.shape)
    rank[np.triu_indices(parts, 1)] = rankdata(like[np.triu_indices(parts, 1)])
    rank += rank.T
    other, rng = rankdata(alike[a, b]), np.random.default_rng(seed)
    order = [np.arange(parts), *(rng.permutation(parts) for _ in range(shuffles))]
    drawn = np.array([np.corrcoef(rank[shuffled[a], shuffled[b]], other)[0, 1] for shuffled in order])
    low, high = np.quantile(drawn[1:], (0.025, 0.975)).tolist()
    return Foretold(float(drawn[0]), low, high, float((drawn >= drawn[0] - 1e-12).mean()))


def _nearest(names: pl.Series, matrix: np.ndarray, name: str, figure: str) -> dict[str, Any]:
    """For each part the one with the largest figure, and that figure; null where none is known."""
    other = np.where(np.eye(len(names), dtype=bool) | np.isnan(matrix), -np.inf, matrix)
    best = other.max(axis=1)
    known = np.isfinite(best)
    nearest = [names[int(at)] if has else None for at, has in zip(other.argmax(axis=1), known, strict=True)]
    return {name: pl.Series(nearest, dtype=pl.String), figure: np.where(known, best, np.nan)}


def _frame(columns: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(columns, nan_to_null=True)
