"""What is known of a slice's gap before a model's own outcomes are seen: from all models of a run [ours].

A list is read where something was found, and there variances found on the same outcomes are too large. So they are
those of several models, and so is the distribution of their scale: how many models depend on slices hardly at all.
One model alone, or the difference of two, has its own outcome and what is stated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.linalg import solve_triangular

from competency_gaps.findings.choose import Weighed, centred
from competency_gaps.findings.joint import SCALES, Design, Group, Joint, sums_by_block

TURNS = 8
"""Turns in which the variances are fitted."""
STATED = 0.0005
"""Variance of a coefficient, in variances of the outcome, as stated where little is known."""
COUNT = 4.0
"""Fully determined coefficients of each model that the stated variance counts for in a family, and the family's in a
group: models answered the same items, so more of them do not say more of where these differ."""
MODELS = 0.3
"""Models that each scale is stated to have."""
STEP = 5.0
"""Ratio by which a variance changes at most in a turn."""
SIZES = 4.0
"""Ratio of sizes within which slices of a family have one variance: small and sharp ones are not shrunk like wide ones,
which are weaker."""
WIDE = 300
"""Most slices of a family beside those of questions; of more, those that tell most are in the model."""


class Prior(NamedTuple):
    """Shared by the outcomes of a run."""

    variances: dict[Group, float]
    """Of the coefficients of each group of slices, in variances of the outcome."""
    scales: np.ndarray
    """float64 of shape (L,): probability of each of ``SCALES``."""


STATED_PRIOR = Prior({}, np.full(len(SCALES), 1 / len(SCALES)))
"""Where no outcome was seen."""


class Seen(NamedTuple):
    """An outcome on some of the units, with the slices that may explain it."""

    design: Design
    left: np.ndarray
    """float32 of shape (U, 1): the outcome, centred."""
    part: float
    """Share of the units that it is known of."""
    noise: float
    """Its variance."""


def design_of(families: Sequence[Weighed], block: np.ndarray) -> Design:
    """Gather the slices that are in the model."""
    used = [_used(own) for own in families]
    rows = sp.csr_array(sp.vstack([own.weights[places] for own, places in zip(families, used, strict=True)]))
    by_block = sums_by_block(rows, block)
    family = np.repeat(np.arange(len(families)), [len(places) for places in used])
    return Design(
        family,
        np.concatenate(used),
        np.array([own.rank for own in families], np.int64)[family],
        [_group(own, at) for own, places in zip(families, used, strict=True) for at in places.tolist()],
        rows,
        np.asarray(rows.sum(axis=1), np.float64).ravel(),
        (rows @ rows.T).toarray().astype(np.float64) - (by_block / np.bincount(block)) @ by_block.T,
        block,
    )


def _used(own: Weighed) -> np.ndarray:
    """The slices of a family that are in the model."""
    alone = np.flatnonzero(own.alone)
    most = alone[np.argsort(-own.squares[alone], kind="stable")[:WIDE]]
    return np.sort(np.concatenate([np.flatnonzero(own.usable & ~own.alone), most]))


def _group(own: Weighed, at: int) -> Group:
    question = own.family.question[at]
    return own.family.name, int(np.log(own.size[at]) / np.log(SIZES)) if question is None else question


def seen(families: Sequence[Weighed], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray) -> Seen:
    """Gather an outcome and the slices that may explain it.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    taken : ndarray of bool of shape (U,)
    """
    left = centred(outcome, taken[:, None], block)
    noise = float((left.astype(np.float64) ** 2).sum() / max(1, taken.sum()))
    return Seen(design_of(families, block), left, float(taken.mean()), noise)


def fit(own: Seen, prior: Prior) -> Joint:
    """Fit the model to an outcome."""
    return _normal(own, prior).tailed(own.left, own.part)


def _normal(own: Seen, prior: Prior) -> Joint:
    variances = np.array([prior.variances.get(group, STATED) for group in own.design.groups])
    return Joint(own.design, variances * own.noise, prior.scales, own.noise)


def learn(outcomes: Sequence[Seen]) -> Prior:
    """Learn the prior from the outcomes of several models, by maximum likelihood with what is stated."""
    if not outcomes:
        return STATED_PRIOR
    names = list(dict.fromkeys(group for own in outcomes for group in own.design.groups))
    numbers = {group: number for number, group in enumerate(names)}
    groups = [np.array([numbers[group] for group in own.design.groups], np.int64) for own in outcomes]
    _, family = np.unique([group[0] for group in names], return_inverse=True)
    variance, count = np.full(len(names), STATED), COUNT * len(outcomes)
    for _ in range(TURNS):
        score, known = np.zeros((2, len(names)))
        for own, group in zip(outcomes, groups, strict=True):
            square, determined = _coefficients(own, variance[group])
            score += np.bincount(group, square - determined * variance[group], len(names))
            known += np.bincount(group, determined**2, len(names))
        fitted = known * variance + score  # groups are drawn to their family, and families to what is stated
        of_family = (np.bincount(family, fitted) + count * STATED) / (np.bincount(family, known) + count)
        fitted = (fitted + count * np.maximum(of_family, 0)[family]) / (known + count)
        variance = np.clip(fitted, variance / STEP, variance * STEP)
    prior = Prior(dict(zip(names, variance.tolist(), strict=True)), STATED_PRIOR.scales)
    if len(outcomes) == 1:  # it cannot say how models differ
        return prior
    flat = [_normal(own, prior).scale_weights(own.design.rows @ own.left, own.part)[:, 0] for own in outcomes]
    return prior._replace(scales=_shares(np.array(flat)))


def _coefficients(own: Seen, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squares of the expected coefficients, in variances of the outcome, and how far each is determined: (K,) each."""
    root = np.sqrt(variance)
    precision = own.part * root[:, None] * own.design.gram * root + np.eye(len(root))
    inverse = solve_triangular(np.linalg.cholesky(precision), np.eye(len(root)), lower=True)
    sums = np.asarray(own.design.rows @ own.left, np.float64).ravel() / np.sqrt(own.noise)
    return (root * (inverse.T @ (inverse @ (root * sums)))) ** 2, 1 - (inverse**2).sum(axis=0)


def _shares(likely: np.ndarray) -> np.ndarray:
    """Share of models at each scale, from what their outcomes make of each alone, of shape (models, L), by EM."""
    shares = STATED_PRIOR.scales
    for _ in range(20):
        belongs = likely * shares
        belongs /= belongs.sum(axis=1, keepdims=True)
        shares = (belongs.sum(axis=0) + MODELS) / (len(likely) + MODELS * likely.shape[1])
    return np.asarray(shares)
