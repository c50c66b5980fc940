"""The gaps of chosen slices: what half-samples make of them, and what they rest on [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from competency_gaps.findings.choose import Chosen, Weighed, centred
from competency_gaps.findings.finding import STRATA
from competency_gaps.findings.joint import Joint

HALVES = 20
"""Half-samples that choose anew."""
NORMAL = 1.959964
"""Half width of an interval of 95%, in standard errors."""


def half_samples(units: int, count: int = HALVES, seed: int = 0) -> np.ndarray:
    """Draw halves of the units: bool of shape (units, count)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(units) < units // 2 for _ in range(count)], axis=1)


def again(
    joint: Joint,
    chosen: Sequence[Chosen],
    lists: Sequence[Sequence[Chosen]],
    halves: np.ndarray,
    outcome: np.ndarray,
) -> list[dict[str, Any]]:
    """Measure the gaps of a list on the units that did not choose it.

    Parameters
    ----------
    chosen
        The list of all units.
    lists
        Those of the half-samples.
    halves : ndarray of bool of shape (U, half-samples)

    Returns
    -------
    list of dict, one per slice
        Fields of :class:`~competency_gaps.findings.finding.Finding`.
    """
    places = [one.place for one in chosen]
    diagonal = np.sqrt(np.maximum(np.diag(joint.design.gram), 1e-9))
    alike = joint.design.gram[places] / (diagonal * diagonal[places][:, None])
    rows, whole = joint.design.rows[places], np.ones((len(outcome), 1), bool)
    there, _ = gaps_of(rows, outcome, ~halves, joint.design.block)
    _, error = gaps_of(rows, outcome, whole, joint.design.block)
    found = list[dict[str, Any]]()
    for number, one in enumerate(chosen):
        same = [any(alike[number, other.place] > SAME and other.gap * one.gap > 0 for other in own) for own in lists]
        if not any(same):
            found.append({"again": 0, "again_gap": None, "again_low": None, "again_high": None})
            continue
        # The means of halves vary about the whole one as much as that does about the truth.
        reach = NORMAL * float(error[number, 0]) * float(np.sqrt(1 + 1 / sum(same)))
        gap = float(there[number, same].mean())
        found.append({"again": sum(same), "again_gap": gap, "again_low": gap - reach, "again_high": gap + reach})
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
    left = centred(outcome, np.ones((len(outcome), 1), bool), joint.design.block).ravel().astype(np.float64)
    sums, plain = joint.design.rows @ left, joint.design.rows @ (outcome - outcome.mean())
    named = [(families[family].family, at) for family, at in zip(joint.design.family, joint.design.slice, strict=True)]
    questions = [family.question[at] for family, at in named]
    categories: dict[str, list[int]] = {}
    for at in np.flatnonzero(joint.design.asked).tolist():
        categories.setdefault(str(questions[at]), []).append(at)
    places = [one.place for one in chosen]

    def beside(others: list[int]) -> tuple[list[int], np.ndarray]:
        among = joint.design.gram[np.ix_(others, others)] + 1e-6 * np.eye(len(others))
        return others, np.linalg.solve(among, joint.design.gram[np.ix_(others, places)])

    columns = {name: beside(others) for name, others in categories.items()}
    before: dict[str, tuple[list[int], np.ndarray]] = {}
    found = []
    for number, place in enumerate(places):
        own = joint.design.gram[place, place]
        parts: dict[str, float] = {}
        for name, (others, shares) in (before | columns).items():
            if name == questions[place]:
                continue  # categories exclude each other
            shared = shares[:, number]
            rest = own - joint.design.gram[others, place] @ shared
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
