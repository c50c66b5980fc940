"""What the slices let expect of an outcome: one normal model of all slices, and the gaps of the chosen ones [ours].

``y = sum_k w_k b_k + e`` with ``b_k`` about 0, their variance by family and size (a column has its own) by maximum
likelihood, in a part of each family only if that is likelier. The expected gap of a slice is then ``E[gap | data]``:
shrunk, the more so the smaller the slice, towards what the slices that share its items say. Being expected values, the
gaps are not too large for having been chosen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.findings.choose import Bar, Chosen, Weighed, centred
from competency_gaps.findings.finding import STRATA
from competency_gaps.findings.joint import Joint, half_covariance, sums_by_block

HALVES = 20
"""Half-samples that choose anew."""
NORMAL = 1.959964
"""Half width of an interval of 95%, in standard errors."""
TURNS = 7
"""Turns in which the variances of the coefficients are fitted."""
SITES = 4
"""Turns in which the curves of single coefficients are fitted."""
DAMPING = 0.7
"""Part of the way that such a curve goes in a turn."""
PARTS = (1.0, 0.5, 0.25, 0.125, 0.06, 0.03, 0.015)
"""Parts of a family's slices that may have all of the variance of its coefficients, so that few strong ones among many
are not shrunk like these."""
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""What that variance may be times, as it is not well known."""
ALL, FITTED = 6.0, 1.0
"""Log likelihood by which another part than all, and another scale than 1, must be better to weigh as much, where the
variance was found by maximum likelihood."""
START = 0.01
"""Variance of the coefficients, in variances of the outcome, from which they start."""
BESIDE = 1.0
"""Slices of that variance that a family has beside its own: of a few, the likeliest variance is often 0."""
CAUTION = 0.6
"""Part of the likeliest variances that is taken, but for the few categories of a column: lists are read where something
was found, which is where variances happen to be large. With it held-out gaps of real models rise by 0.9 to 1 for each
expected one."""
SIZES = 4.0
"""Ratio of sizes within which slices of a family have one variance: small and sharp ones are not shrunk like wide ones,
which are weaker."""
FAMILY = 3.0
"""Categories that the family counts for where the variance of a column is estimated."""
WIDE = 300
"""Most slices of a family, beside the categories of questions, whose variances are found by maximum likelihood; those
of a larger one have the same, by the method of moments, and none where it explains nothing beyond the others."""


def fit(
    families: Sequence[Weighed], bars: Sequence[Bar], outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> Joint:
    """Fit the model to some units.

    Parameters
    ----------
    outcome : ndarray of float of shape (U,)
    taken : ndarray of bool of shape (U,)
    """
    left = centred(outcome, taken[:, None], block)
    part = float(taken.mean())
    noise = float((left.astype(np.float64) ** 2).sum() / max(1, taken.sum()))
    used = [np.flatnonzero(own.usable) for own in families]
    wide = [at for at, own in enumerate(families) if own.alone.sum() > WIDE]
    taking = [places[:0] if at in wide else places for at, places in enumerate(used)]
    joint = _joint(families, taking, left, part, noise, block, {})
    if not wide:
        return joint
    rest = centred(left.ravel() - joint.outcomes(left, part).ravel(), taken[:, None], block)
    given = {at: joint.prior[joint.family == at] for at in range(len(families))}
    for at in wide:
        own, null = families[at], bars[at].total
        squares = own.squares[own.alone] * part
        z2 = (own.weights[own.alone] @ rest).ravel() ** 2 / (squares * noise)
        # What they explain is in the noise too, and makes the sum smaller.
        spread = max(null.mean, null.variance / 2 - null.mean**2 / len(outcome))
        variance = float((z2.sum() - null.mean) / spread * noise / squares.mean())
        if variance > 1e-6 * noise:
            taking[at], given[at] = used[at], np.full(len(used[at]), variance)
    return _joint(families, taking, left, part, noise, block, given) if any(len(taking[at]) for at in wide) else joint


def _joint(
    families: Sequence[Weighed],
    used: Sequence[np.ndarray],
    left: np.ndarray,
    part: float,
    noise: float,
    block: np.ndarray,
    given: Mapping[int, np.ndarray],
) -> Joint:
    """The model of some slices of each family; ``given``: the variances of their coefficients, if these are known."""
    family = np.repeat(np.arange(len(families)), [len(places) for places in used])
    rows = sp.csr_array(sp.vstack([own.weights[places] for own, places in zip(families, used, strict=True)]))
    by_block = sums_by_block(rows, block)
    gram = (rows @ rows.T).toarray().astype(np.float64) - (by_block / np.bincount(block)) @ by_block.T
    asked = [_group(families[at], place, at) for at, places in enumerate(used) for place in places]
    names = {name: number for number, name in enumerate(dict.fromkeys(asked))}
    group = np.array([names[name] for name in asked], np.int64)
    questions = np.array([isinstance(name[1], str) for name in asked], bool)
    sums, lower = (rows @ left).ravel().astype(np.float64), part * np.tril(gram)
    if given:
        prior = np.concatenate([given[at] for at in range(len(families))])
    else:
        prior = _prior(lower, sums, noise, family, group) * np.where(questions, 1.0, CAUTION)
    noise = max(noise / 2, noise - float(prior @ np.diag(gram)) / len(block))
    return Joint(
        family,
        np.concatenate(used),
        np.array([own.rank for own in families], np.int64)[family],
        questions,
        rows,
        np.asarray(rows.sum(axis=1), np.float64).ravel(),
        gram,
        prior,
        *_sites(lower, sums, noise, prior, family, np.bincount(family, ~questions) <= WIDE),
        noise,
        block,
    )


def _group(own: Weighed, place: int, at: int) -> tuple[int, str | int]:
    """The slices whose coefficients have one variance: categories of a question, else those of about its size."""
    question = own.family.question[place]
    return at, int(math.log(own.size[place], SIZES)) if question is None else question


def _prior(lower: np.ndarray, sums: np.ndarray, noise: float, family: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Variances of the coefficients by maximum likelihood: shape (K,).

    By MacKay's fixed point (Neural Computation 4, 1992): the squares of what is expected over the number of
    coefficients that the data determine.
    """
    prior = np.full(len(sums), START * noise)
    for _ in range(TURNS):
        half, _ = half_covariance(lower, 1 / prior, noise)
        square = (half.T @ (half @ sums) / noise) ** 2
        determined = np.clip(1 - np.einsum("jk,jk->k", half, half) / prior, 1e-6, 1)
        of_family = np.bincount(family, square) + BESIDE * START * noise
        of_family /= np.bincount(family, determined) + BESIDE
        fitted = np.bincount(group, square)[group] + FAMILY * of_family[family]
        fitted /= np.bincount(group, determined)[group] + FAMILY
        prior = np.clip(fitted, 1e-6 * noise, noise)
    return prior


def _sites(
    lower: np.ndarray, sums: np.ndarray, noise: float, prior: np.ndarray, family: np.ndarray, fitted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Precisions and shifts of the coefficients' own curves: shape (K,) each.

    By expectation propagation (Minka, UAI 2001): together with what the other coefficients leave to be seen of it, a
    coefficient's curve has the mean and variance that it has if few of its family are large.
    """
    precision, shift = 1 / prior, np.zeros(len(prior))
    for _ in range(SITES if len(prior) else 0):
        half, _ = half_covariance(lower, precision, noise)
        variance = np.einsum("jk,jk->k", half, half)
        mean = half.T @ (half @ (sums / noise + shift))
        known = np.maximum(1 / variance - precision, 1e-9)
        seen = (mean / variance - shift) / known
        mean, variance = _few_large(seen, known, prior, family, fitted)
        site = np.maximum(1 / variance - known, 1e-3 / prior)
        shift += DAMPING * ((site + known) * mean - known * seen - shift)
        precision += DAMPING * (site - precision)
    return precision, shift


def _few_large(
    seen: np.ndarray, known: np.ndarray, prior: np.ndarray, family: np.ndarray, fitted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of coefficients that are seen with a precision of ``known``: shape (K,) each.

    A part of each family's are normal about 0 and all others 0; parts and variances weigh as much as they make likely
    what is seen of the family.
    """
    likely, moments = [], []
    for part, scale in itertools.product(PARTS, SCALES):
        slab = prior * scale / part
        kept = slab * known / (1 + slab * known)
        odds = part * np.exp(np.minimum(0.5 * (seen**2 * known * kept + np.log1p(-kept)), 500.0))
        sure = odds / (odds + 1 - part)
        before = fitted * (ALL * (part == 1) + FITTED * (scale == 1))
        likely.append(np.bincount(family, np.log(odds + 1 - part)) + before)
        moments.append([sure * kept * seen, sure * (kept / known + (kept * seen) ** 2)])
    weight = np.exp(np.array(likely) - np.max(likely, axis=0))
    weight /= weight.sum(axis=0)
    mean, square = np.einsum("tmk,tk->mk", np.array(moments), weight[:, family])
    return mean, np.maximum(square - mean**2, 1e-9 * prior)


def half_samples(units: int, count: int = HALVES, seed: int = 0) -> np.ndarray:
    """Draw halves of the units: bool of shape (units, count)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(units) < units // 2 for _ in range(count)], axis=1)


def listed(joint: Joint, chosen: Sequence[Chosen], outcome: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What a list alone lets expect of every unit: shape (U,)."""
    if not chosen:
        return np.zeros(len(outcome))
    return joint.rows[[one.place for one in chosen]].T @ shares_of(joint, chosen, outcome, taken)


def shares_of(joint: Joint, chosen: Sequence[Chosen], outcome: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What each slice of a list adds, by projecting the expected outcomes on the list: shape (slices,)."""
    places = [one.place for one in chosen]
    sums, *_ = joint.expected(centred(outcome, taken[:, None], joint.block), float(taken.mean()))
    among = joint.gram[np.ix_(places, places)] + 1e-6 * np.eye(len(places))
    return np.asarray(np.linalg.solve(among, sums[places, 0]))


@dataclass(frozen=True)
class Again:
    """What half-samples make of a chosen slice."""

    again: int
    """Half-samples that choose it, or one nearly like it."""
    gap: float | None
    """Mean gap on the units that these leave out; None: none chose it."""
    low: float | None
    """Lower end of its interval of 95%."""
    high: float | None


def again(
    joint: Joint,
    chosen: Sequence[Chosen],
    lists: Sequence[Sequence[Chosen]],
    halves: np.ndarray,
    outcome: np.ndarray,
) -> list[Again]:
    """Measure the gaps of a list on the units that did not choose it.

    Parameters
    ----------
    chosen
        The list of all units.
    lists
        Those of the half-samples.
    halves : ndarray of bool of shape (U, half-samples)
    """
    places = [one.place for one in chosen]
    diagonal = np.sqrt(np.maximum(np.diag(joint.gram), 1e-9))
    alike = joint.gram[places] / (diagonal * diagonal[places][:, None])
    rows, whole = joint.rows[places], np.ones((len(outcome), 1), bool)
    there, _ = gaps_of(rows, outcome, ~halves, joint.block)
    _, error = gaps_of(rows, outcome, whole, joint.block)
    found = []
    for number, one in enumerate(chosen):
        same = [any(alike[number, other.place] > SAME and other.gap * one.gap > 0 for other in own) for own in lists]
        if not any(same):
            found.append(Again(0, None, None, None))
            continue
        # The means of halves vary about the whole one as much as that does about the truth.
        reach = NORMAL * float(error[number, 0]) * float(np.sqrt(1 + 1 / sum(same)))
        gap = float(there[number, same].mean())
        found.append(Again(sum(same), gap, gap - reach, gap + reach))
    return found


SAME = 0.7
"""Correlation from which two slices are nearly the same."""


def gaps_of(
    weights: sp.csr_array, outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of slices on subsets of the units, and their standard errors: two arrays of shape (slices, H).

    Parameters
    ----------
    weights : csr_array of shape (slices, U)
    """
    left = centred(outcome, taken, block).astype(np.float64)
    rows, inside = weights.astype(np.float64), taken.astype(np.float64)
    size = np.maximum(rows @ inside, 1e-9)
    gap = (rows @ left) / size
    squared = rows.power(2)
    weight = np.maximum(squared @ inside, 1e-9)
    about = squared @ left**2 - 2 * gap * (squared @ left) + gap**2 * (squared @ inside)
    count = np.maximum(size**2 / weight, 2)
    overall = (left**2).sum(axis=0) / np.maximum(taken.sum(axis=0), 1)
    # A small slice's own spread is not well known: the whole sample's counts like ten units of it.
    spread = (np.maximum(about, 0) / weight * count + 10 * overall) / (count + 9)
    outside = np.clip(1 - size / np.maximum(taken.sum(axis=0), 1), 0.05, 1)
    return gap, np.sqrt(spread * outside / count)


PART = 1 / 3
"""Least part of a gap that is said to rest on something else."""
APART = 0.2
"""Least part of a slice's own variance that another leaves, if its part is to be told."""


def resting_on(
    families: Sequence[Weighed], joint: Joint, chosen: Sequence[Chosen], outcome: np.ndarray
) -> list[tuple[tuple[str, float], ...]]:
    """What explains part of each chosen slice's gap: slices chosen before it, other columns, and what is held equal.

    The part is what is lost of the gap when the other, or every category of the column, is held equal too.

    Returns
    -------
    list of tuple of (str, float), one per slice
        Names and parts in [0, 1], the largest part first.
    """
    left = centred(outcome, np.ones((len(outcome), 1), bool), joint.block).ravel().astype(np.float64)
    sums, plain = joint.rows @ left, joint.rows @ (outcome - outcome.mean())
    named = [(families[family].family, at) for family, at in zip(joint.family, joint.slice, strict=True)]
    questions = [family.question[at] for family, at in named]
    categories: dict[str, list[int]] = {}
    for at in np.flatnonzero(joint.asked).tolist():
        categories.setdefault(str(questions[at]), []).append(at)
    places = [one.place for one in chosen]

    def beside(others: list[int]) -> tuple[list[int], np.ndarray]:
        among = joint.gram[np.ix_(others, others)] + 1e-6 * np.eye(len(others))
        return others, np.linalg.solve(among, joint.gram[np.ix_(others, places)])

    columns = {name: beside(others) for name, others in categories.items()}
    before: dict[str, tuple[list[int], np.ndarray]] = {}
    found = []
    for number, place in enumerate(places):
        own = joint.gram[place, place]
        parts: dict[str, float] = {}
        for name, (others, shares) in (before | columns).items():
            if name == questions[place]:
                continue  # categories exclude each other
            shared = shares[:, number]
            rest = own - joint.gram[others, place] @ shared
            if rest > APART * own and sums[place]:
                net = (sums[place] - sums[others] @ shared) / rest
                parts[name] = float(np.clip(1 - net / (sums[place] / own), 0, 1))
        if plain[place] * sums[place] > 0 and abs(plain[place]) > abs(sums[place]):
            parts[STRATA] = float(1 - sums[place] / plain[place])
        kept = [pair for pair in parts.items() if pair[1] >= PART]
        found.append(tuple(sorted(kept, key=lambda pair: -pair[1])[:3]))
        if questions[place] is None:
            before[named[place][0].names[named[place][1]]] = beside([place])
    return found
