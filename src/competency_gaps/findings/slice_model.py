"""One normal model of all slices, which gives the gaps to expect on new items [ours].

``y = sum_k w_k b_k + e`` with coefficients ``b_k ~ N(0, s v_k)``. The variances ``v`` are learnt from all models of a
run, since variances fitted to the outcomes that a list is chosen from would be too large. The scale ``s``, by how much
more or less than usual this outcome depends on slices at all, is integrated over a grid: where it may well be 0, as for
an outcome that goes with nothing, gaps are small. Its distribution, too, comes from the run's models. A single model,
or the difference of two, has its own outcome and the stated prior only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.linalg import solve_triangular

from competency_gaps.evidence import Units
from competency_gaps.evidence.outcomes import Outcome
from competency_gaps.findings.on_units import FamilyOnUnits, centred, sums_by_block
from competency_gaps.runs.outcomes import Peers
from competency_gaps.runs.scores import ModelScores

DOUBT = 0.5
"""Share of the distance between the expected gap and that of the slice's own items that counts as error: the model may
shrink a strong gap too far (with it, 95% intervals cover 95% in ``validation/planted_slices.py``)."""
SCALES = np.array([0.001, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
"""Scales of the variances of an outcome's coefficients; the first one stands for 0."""
TAIL_DEGREES = 10.0
"""Degrees of freedom of the coefficients' distribution: a few strong ones among many weak are not shrunk like these."""
TAIL_ITERATIONS = 2
"""Number of iterations for the variances of single coefficients."""
Group = tuple[str, str | int]
"""The slices whose coefficients have one variance: a family, and a question or else a class of sizes."""
PRIOR_ITERATIONS = 8
"""Number of iterations for the variances of the prior."""
STATED_VARIANCE = 0.0005
"""Variance of a coefficient, in variances of the outcome, as stated where little is known."""
PRIOR_COUNT = 4.0
"""Fully determined coefficients of each model that the stated variance counts for in a family, and the family's in a
group: models answered the same items, so more of them do not say more of where these differ."""
SCALE_COUNT = 0.3
"""Pseudo-count of models at each scale."""
MAX_STEP = 5.0
"""Maximum ratio by which a variance changes in one iteration."""
SIZE_RATIO = 4.0
"""Ratio of sizes within which slices of a family have one variance: small and sharp ones are not shrunk like wide ones,
which are weaker."""
MAX_SLICES = 300
"""Maximum number of slices per family beside categories of columns; if there are more, the most informative ones."""


@dataclass(frozen=True)
class Design:
    """The slices of all families that are in the model. K slices, U units."""

    family: np.ndarray
    """int64 of shape (K,): index of each slice's family; ``slice``: its index in the family."""
    slice: np.ndarray
    rank: np.ndarray
    """int64 of shape (K,): how easily people check it, 0 the easiest."""
    groups: list[Group]
    """Of length K."""
    rows: sp.csr_array
    """float32 of shape (K, U)."""
    size: np.ndarray
    """float64 of shape (K,): sums of the weights."""
    gram: np.ndarray
    """float64 of shape (K, K): products of the weights about their blocks' means."""
    block: np.ndarray
    """int64 of shape (U,)."""

    @cached_property
    def in_column(self) -> np.ndarray:
        """bool of shape (K,): whether it is a category of a question, which was tested as a whole."""
        return np.array([isinstance(group[1], str) for group in self.groups], bool)


@dataclass(frozen=True)
class SliceModel:
    """The slice model fitted to an outcome. K slices, U units, L scales."""

    design: Design
    prior: np.ndarray
    """float64 of shape (K,): variance of the coefficients at a scale of 1."""
    scales: np.ndarray
    """float64 of shape (L,): probability of each scale before the outcome is seen."""
    noise: float
    """Variance of the outcome about its expectation."""
    base: SliceModel | None = None
    """The model before the variances of single coefficients were found; None: this is it."""

    @cached_property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Axes on which the coefficients are independent: information (K,), and coefficients of each axis (K, K)."""
        root = np.sqrt(self.prior)
        values, vectors = np.linalg.eigh(root[:, None] * self.design.gram * root)
        return np.maximum(values, 0.0), root[:, None] * vectors

    def scale_weights(self, sums: np.ndarray, share: float) -> np.ndarray:
        """Return the probability of each scale given outcomes: shape (L, H).

        Parameters
        ----------
        sums : ndarray of float of shape (K, H)
            Products of the slices with centred outcomes of subsets of the units.
        share
            Share of the units in each subset.
        """
        if self.base is not None:
            return self.base.scale_weights(sums, share)
        information, basis = self.axes
        known = SCALES[:, None] * share / self.noise * information
        explained = (SCALES[:, None] / (self.noise**2 * (1 + known))) @ (basis.T @ sums) ** 2
        likely = 0.5 * (explained - np.log1p(known).sum(axis=1)[:, None]) + np.log(self.scales)[:, None]
        weights = np.exp(likely - likely.max(axis=0))
        return np.asarray(weights / weights.sum(axis=0))

    def expected(
        self, centred_outcome: np.ndarray, share: float, weights: sp.csr_array | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return products of slices with the expected outcomes of all units.

        Parameters
        ----------
        centred_outcome : ndarray of float of shape (U, H)
            Centred outcomes of subsets of the units.
        share
            Share of the units in each subset.
        weights : csr_array of shape (M, U), optional
            Slices, which need not be in the model; None: those of the model, M = K.

        Returns
        -------
        values, deviations, errors : ndarray of float of shape (M, H)
            Expected products; their standard deviations by the model; and those for intervals, which are larger where
            the slice's own items disagree.
        """
        rows = self.design.rows if weights is None else sp.csr_array(weights)
        cross = self.design.gram if weights is None else self._cross(rows)
        by_scale, mixed, scales = self._posterior(centred_outcome, share)
        toward = cross @ self.axes[1]
        products = np.stack([toward @ coefficients for coefficients in by_scale])
        values = np.einsum("lh,lkh->kh", scales, products)
        variance = self.noise * (toward**2 @ mixed) + np.einsum("lh,lkh->kh", scales, products**2) - values**2
        deviations = np.sqrt(np.maximum(variance, 1e-12))
        return values, deviations, np.hypot(deviations, DOUBT * (rows @ centred_outcome / share - values))

    def with_heavy_tails(self, centred_outcome: np.ndarray, share: float) -> SliceModel:
        """Return the model with variances of single coefficients, by variational Bayes for Student's t [ours]."""
        scales = self.scale_weights(self.design.rows @ centred_outcome, share)[:, 0]
        model = self
        for _ in range(TAIL_ITERATIONS):
            by_scale, _, _ = model._posterior(centred_outcome, share)
            information, basis = model.axes
            square = np.zeros(len(self.prior))
            for weight, scale, expected in zip(scales, SCALES, by_scale, strict=True):
                spread = basis**2 @ (scale * self.noise / (self.noise + scale * share * information))
                square += weight / scale * ((basis @ expected[:, 0]) ** 2 + spread)
            model = replace(self, prior=(TAIL_DEGREES * self.prior + square) / (TAIL_DEGREES + 1), base=self)
        return model

    def _posterior(self, centred_outcome: np.ndarray, share: float) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Expected values on the axes at each scale, (K, H) each; mean shrinkage (K, H); weights of scales (L, H)."""
        sums = np.asarray(self.design.rows @ centred_outcome, np.float64)
        information, basis = self.axes
        scales = self.scale_weights(sums, share)
        shrinkage = SCALES[:, None] / (self.noise + SCALES[:, None] * share * information)
        turned = basis.T @ sums
        return [factor[:, None] * turned for factor in shrinkage], shrinkage.T @ scales, scales

    def _cross(self, rows: sp.csr_array) -> np.ndarray:
        """Return products of other slices with those of the model, about their blocks' means."""
        block = self.design.block
        theirs = sums_by_block(rows, block) / np.bincount(block)
        return np.asarray(
            (rows @ self.design.rows.T).toarray() - theirs @ sums_by_block(self.design.rows, block).T, np.float64
        )


class Prior(NamedTuple):
    """Prior of the slice model, shared by the outcomes of a run."""

    variances: dict[Group, float]
    """Of the coefficients of each group of slices, in variances of the outcome."""
    scales: np.ndarray
    """float64 of shape (L,): probability of each of ``SCALES``."""


STATED_PRIOR = Prior({}, np.full(len(SCALES), 1 / len(SCALES)))
"""The prior if no outcome was observed."""


class Analysis(NamedTuple):
    """An outcome of N items in U units, and the families of slices that may explain it."""

    items: pl.DataFrame
    """Rows as of ``items.parquet``."""
    scores: ModelScores
    outcome: Outcome
    peers: Peers | None
    units: Units
    values: np.ndarray
    """float64 of shape (U,): the outcome of each unit, in its own units."""
    families: list[FamilyOnUnits]
    prior: Prior | None = None
    """Learnt from the run's models; None: it is learnt from this outcome alone."""


class Observed(NamedTuple):
    """An outcome on some of the units, with the slices that may explain it."""

    design: Design
    residual: np.ndarray
    """float32 of shape (U, 1): the outcome, centred."""
    share: float
    """Share of the units that it is known of."""
    noise: float
    """Its variance."""


def design_of(families: Sequence[FamilyOnUnits], block: np.ndarray) -> Design:
    """Return the slices that are in the model."""
    used = [_used(family) for family in families]
    rows = sp.csr_array(sp.vstack([family.weights[slices] for family, slices in zip(families, used, strict=True)]))
    by_block = sums_by_block(rows, block)
    family_index = np.repeat(np.arange(len(families)), [len(slices) for slices in used])
    return Design(
        family_index,
        np.concatenate(used),
        np.array([family.rank for family in families], np.int64)[family_index],
        [_group(family, at) for family, slices in zip(families, used, strict=True) for at in slices.tolist()],
        rows,
        np.asarray(rows.sum(axis=1), np.float64).ravel(),
        (rows @ rows.T).toarray().astype(np.float64) - (by_block / np.bincount(block)) @ by_block.T,
        block,
    )


def _used(family: FamilyOnUnits) -> np.ndarray:
    """Return the indices of a family's slices that are in the model."""
    outside = np.flatnonzero(family.outside_columns)
    strongest = outside[np.argsort(-family.squares[outside], kind="stable")[:MAX_SLICES]]
    return np.sort(np.concatenate([np.flatnonzero(family.usable & ~family.outside_columns), strongest]))


def _group(family: FamilyOnUnits, slice_: int) -> Group:
    column = family.family.column[slice_]
    return family.family.name, int(np.log(family.size[slice_]) / np.log(SIZE_RATIO)) if column is None else column


def observe(families: Sequence[FamilyOnUnits], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray) -> Observed:
    """Return an outcome on some units, with the slices that may explain it.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    taken : ndarray of bool of shape (U,)
    """
    residual = centred(outcome, taken[:, None], block)
    noise = float((residual.astype(np.float64) ** 2).sum() / max(1, taken.sum()))
    return Observed(design_of(families, block), residual, float(taken.mean()), noise)


def fit(observed: Observed, prior: Prior) -> SliceModel:
    """Return the slice model fitted to an outcome."""
    return _normal(observed, prior).with_heavy_tails(observed.residual, observed.share)


def _normal(observed: Observed, prior: Prior) -> SliceModel:
    variances = np.array([prior.variances.get(group, STATED_VARIANCE) for group in observed.design.groups])
    return SliceModel(observed.design, variances * observed.noise, prior.scales, observed.noise)


def learn(outcomes: Sequence[Observed]) -> Prior:
    """Return the prior learned from the outcomes of several models, by penalised maximum likelihood."""
    if not outcomes:
        return STATED_PRIOR
    names = list(dict.fromkeys(group for observed in outcomes for group in observed.design.groups))
    numbers = {group: number for number, group in enumerate(names)}
    groups = [np.array([numbers[group] for group in observed.design.groups], np.int64) for observed in outcomes]
    _, family = np.unique([group[0] for group in names], return_inverse=True)
    variance, count = np.full(len(names), STATED_VARIANCE), PRIOR_COUNT * len(outcomes)
    for _ in range(PRIOR_ITERATIONS):
        score, known = np.zeros((2, len(names)))
        for observed, group in zip(outcomes, groups, strict=True):
            square, determined = _coefficients(observed, variance[group])
            score += np.bincount(group, square - determined * variance[group], len(names))
            known += np.bincount(group, determined**2, len(names))
        fitted = known * variance + score  # groups are drawn to their family, and families to what is stated
        of_family = (np.bincount(family, fitted) + count * STATED_VARIANCE) / (np.bincount(family, known) + count)
        fitted = (fitted + count * np.maximum(of_family, 0)[family]) / (known + count)
        variance = np.clip(fitted, variance / MAX_STEP, variance * MAX_STEP)
    prior = Prior(dict(zip(names, variance.tolist(), strict=True)), STATED_PRIOR.scales)
    if len(outcomes) == 1:  # it cannot say how models differ
        return prior
    flat = [
        _normal(observed, prior).scale_weights(observed.design.rows @ observed.residual, observed.share)[:, 0]
        for observed in outcomes
    ]
    return prior._replace(scales=_shares(np.array(flat)))


def _coefficients(observed: Observed, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squared expected coefficients, in variances of the outcome, and how far each is determined: (K,) each."""
    root = np.sqrt(variance)
    precision = observed.share * root[:, None] * observed.design.gram * root + np.eye(len(root))
    inverse = solve_triangular(np.linalg.cholesky(precision), np.eye(len(root)), lower=True)
    sums = np.asarray(observed.design.rows @ observed.residual, np.float64).ravel() / np.sqrt(observed.noise)
    return (root * (inverse.T @ (inverse @ (root * sums)))) ** 2, 1 - (inverse**2).sum(axis=0)


def _shares(likely: np.ndarray) -> np.ndarray:
    """Return the share of models at each scale, by EM from each model's likelihood at each scale, of shape (models,
    L).
    """
    shares = STATED_PRIOR.scales
    for _ in range(20):
        belongs = likely * shares
        belongs /= belongs.sum(axis=1, keepdims=True)
        shares = (belongs.sum(axis=0) + SCALE_COUNT) / (len(likely) + SCALE_COUNT * likely.shape[1])
    return np.asarray(shares)
