"""Gaps of chosen slices: their replication on half-samples, and what explains part of them [ours]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from competency_gaps.findings.choose import Chosen
from competency_gaps.findings.finding import STRATA
from competency_gaps.findings.on_units import FamilyOnUnits, centred
from competency_gaps.findings.slice_model import SliceModel

HALF_SAMPLES = 20
"""Number of half-samples on which the choice is repeated."""
Z_95 = 1.959964
"""Half width of an interval of 95%, in standard errors."""


def half_samples(units: int, count: int = HALF_SAMPLES, seed: int = 0) -> np.ndarray:
    """Return random halves of the units: bool of shape (units, count)."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(units) < units // 2 for _ in range(count)], axis=1)


def replicate(
    slice_model: SliceModel,
    chosen: Sequence[Chosen],
    lists: Sequence[Sequence[Chosen]],
    halves: np.ndarray,
    outcome: np.ndarray,
) -> list[dict[str, Any]]:
    """Return how often half-samples choose each slice of a list again, and its gap on the units that they leave out.

    Parameters
    ----------
    chosen
        The list chosen on all units.
    lists
        The lists chosen on the half-samples.
    halves : ndarray of bool of shape (U, half-samples)
        Units of each half-sample.

    Returns
    -------
    list of dict, one per slice
        Fields of :class:`~competency_gaps.findings.finding.Finding`.
    """
    positions = [slice_.position for slice_ in chosen]
    diagonal = np.sqrt(np.maximum(np.diag(slice_model.design.gram), 1e-9))
    alike = slice_model.design.gram[positions] / (diagonal * diagonal[positions][:, None])
    rows, whole = slice_model.design.rows[positions], np.ones((len(outcome), 1), bool)
    unseen, _ = gaps_of(rows, outcome, ~halves, slice_model.design.block)
    _, error = gaps_of(rows, outcome, whole, slice_model.design.block)
    fields = list[dict[str, Any]]()
    for number, slice_ in enumerate(chosen):
        same = [
            any(
                alike[number, candidate.position] > MIN_SAME_CORRELATION and candidate.gap * slice_.gap > 0
                for candidate in chosen_there
            )
            for chosen_there in lists
        ]
        if not any(same):
            fields.append({"in_halves": 0, "heldout_gap": None, "heldout_low": None, "heldout_high": None})
            continue
        # The means of halves vary about the whole one as much as that does about the truth.
        reach = Z_95 * float(error[number, 0]) * float(np.sqrt(1 + 1 / sum(same)))
        gap = float(unseen[number, same].mean())
        fields.append(
            {"in_halves": sum(same), "heldout_gap": gap, "heldout_low": gap - reach, "heldout_high": gap + reach}
        )
    return fields


MIN_SAME_CORRELATION = 0.7
"""Minimum correlation of two slices that count as nearly the same."""


def gaps_of(
    weights: sp.csr_array, outcome: np.ndarray, taken: np.ndarray, block: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gaps of slices on subsets of the units, and their standard errors: two arrays of shape (slices, H).

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


MIN_EXPLAINED = 1 / 3
"""Minimum part of a gap that something else must explain to be mentioned."""
MIN_REST = 0.2
"""Minimum part of a slice's variance that another must leave, for the part that it explains to be estimated."""


def explained_by(
    families: Sequence[FamilyOnUnits], slice_model: SliceModel, chosen: Sequence[Chosen], outcome: np.ndarray
) -> list[tuple[tuple[str, float], ...]]:
    """Return what explains part of each chosen slice's gap: slices chosen before it, other columns, and the strata.

    The part is how much of the gap disappears when the other slice, or every category of the column, is held constant.

    Returns
    -------
    list of tuple of (str, float), one per slice
        Names and parts in [0, 1], the largest part first.
    """
    residual = centred(outcome, np.ones((len(outcome), 1), bool), slice_model.design.block).ravel().astype(np.float64)
    sums, plain = slice_model.design.rows @ residual, slice_model.design.rows @ (outcome - outcome.mean())
    slices_ = [
        (families[family].family, at)
        for family, at in zip(slice_model.design.family, slice_model.design.slice, strict=True)
    ]
    columns = [family.column[at] for family, at in slices_]
    categories: dict[str, list[int]] = {}
    for at in np.flatnonzero(slice_model.design.in_column).tolist():
        categories.setdefault(str(columns[at]), []).append(at)
    positions = [one.position for one in chosen]

    def beside(others: list[int]) -> tuple[list[int], np.ndarray]:
        among = slice_model.design.gram[np.ix_(others, others)] + 1e-6 * np.eye(len(others))
        return others, np.linalg.solve(among, slice_model.design.gram[np.ix_(others, positions)])

    by_column = {name: beside(others) for name, others in categories.items()}
    before: dict[str, tuple[list[int], np.ndarray]] = {}
    explanations = []
    for number, position in enumerate(positions):
        square = slice_model.design.gram[position, position]
        parts: dict[str, float] = {}
        for name, (others, shares) in (before | by_column).items():
            if name == columns[position]:
                continue  # categories exclude each other
            shared = shares[:, number]
            rest = square - slice_model.design.gram[others, position] @ shared
            if rest > MIN_REST * square and sums[position]:
                net = (sums[position] - sums[others] @ shared) / rest
                parts[name] = float(np.clip(1 - net / (sums[position] / square), 0, 1))
        if plain[position] * sums[position] > 0 and abs(plain[position]) > abs(sums[position]):
            parts[STRATA] = float(1 - sums[position] / plain[position])
        kept = [pair for pair in parts.items() if pair[1] >= MIN_EXPLAINED]
        explanations.append(tuple(sorted(kept, key=lambda pair: -pair[1])[:3]))
        if columns[position] is None:
            before[slices_[position][0].names[slices_[position][1]]] = beside([position])
    return explanations
