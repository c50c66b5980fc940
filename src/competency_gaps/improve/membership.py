"""Whether new items belong to a slice, by the run's model and SAE, and whether its gap comes back on them [ours].

A concept's slice is measured by its activation, a region's by the atlas. Any other slice is a direction in the space of
items' profiles: from the mean of all other items to that of its own (Rocchio's classifier, 1971). An item of the run is
measured against means that leave it out, so that new items compare with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from competency_gaps.concepts.atlas import members_of, places_of, read_atlas, space_of
from competency_gaps.concepts.folder import dictionary_of
from competency_gaps.findings.estimate import Z_95
from competency_gaps.reading.profiles import MIN_ACTIVE_ITEMS, Scale, cas_of, profiles_of, scale_of
from competency_gaps.runs.open import RunFolder
from competency_gaps.slices import CONCEPTS, Family
from competency_gaps.slices.regions import items_in
from competency_gaps.util.errors import UserError

ACTIVE_QUANTILE = 0.25
"""Quantile of the measure over a slice's items that a new item must reach."""
INACTIVE_QUANTILE = 0.1
"""Quantile of the measure over a slice's items below which an item counts as without the slice."""
PRECISION = 0.5
"""Minimum share of the slice's items among the run's items above the threshold: else a rare slice would get others."""
MIN_MEMBERS = 5
"""Minimum number of the slice's items above such a threshold; with fewer, the threshold is their median."""
MIN_AUC = 0.8
"""Minimum area under the ROC curve for a slice's items against others."""
STRATA = 6
"""Number of strata of length within which new items with and without a slice are compared."""
MIN_ITEMS_PER_SIDE = 10
"""Minimum number of scored items on each side of a comparison."""


class Membership(NamedTuple):
    """A measure of how much items belong to a slice, with thresholds."""

    measure: Callable[[RunFolder], np.ndarray]
    """Function from a run to how much each of its items belongs to the slice: float64 of shape (items,)."""
    threshold: float
    """Minimum value of items that belong to the slice."""
    floor: float
    """An item with a value below this is without the slice."""
    precision: float | None
    """Of the run's items at or above the threshold, the share that belong to the slice, in [0, 1]; None: all, by
definition."""


def membership_of(run: RunFolder, family: Family, index: int, rows: np.ndarray | None = None) -> Membership:
    """Return the measure of whether items belong to a slice.

    Parameters
    ----------
    index
        Position of the slice in its family.
    rows : ndarray of bool of shape (N,)
        Items of the run that define it; None: all that are not excluded.

    Raises
    ------
    UserError
        If the run's model does not distinguish the slice's items from others.
    """
    kept = run.items["excluded"].is_null().to_numpy() if rows is None else rows
    member = family.member[[index]].toarray().ravel() > 0
    if family.name == "regions" and run.regions is not None:
        names = run.regions["name"].to_list()
        return region_membership(run, names.index(family.names[index]), member & kept)
    if family.name == "concepts":
        measure = partial(_activation, np.array([family.number[index] - CONCEPTS]))
        values = measure(run)
    else:
        measure, values = _direction(run, member & kept, ~member & kept)
    threshold, auc = _threshold(values[kept], member[kept])
    if auc < MIN_AUC:
        raise UserError(
            f"the run's model does not tell the items of {family.names[index]!r} from others (AUC {auc:.2f}, at least "
            f"{MIN_AUC} is needed): so it could not be checked whether new items belong to it. Choose another slice."
        )
    above = kept & (values >= threshold)
    return Membership(
        measure, threshold, float(np.quantile(values[member & kept], INACTIVE_QUANTILE)), float(member[above].mean())
    )


def region_membership(run: RunFolder, region: int, member: np.ndarray) -> Membership:
    """Return the measure of whether items lie in a region of the atlas: cosine to its centre, -1 for items elsewhere.

    Parameters
    ----------
    member : ndarray of bool of shape (N,)
        Items of the region; if there are few, any item that lies in the region belongs.

    Raises
    ------
    UserError
        If the atlas has moved or is gone.
    """
    dictionary = dictionary_of(run)
    atlas = None if dictionary is None else read_atlas(dictionary.folder, run.width)
    if atlas is None:
        raise UserError(f"{run.path}: its dictionary has moved or is gone: name its concepts again.")
    parent, centre = atlas.parent, atlas.centres[region]

    def measure(other: RunFolder) -> np.ndarray:
        """Return each item's likeness to the region's centre; -1 outside the region."""
        space = space_of(atlas, other.by_concept, np.arange(other.items.height))
        places = places_of(atlas, space)
        inside = members_of(parent, np.where(places.unlike, -1, places.region))[region]
        return np.where(inside, space @ centre, -1.0).astype(np.float64)

    enough = member.sum() >= 2 * MIN_MEMBERS
    return Membership(
        measure, float(np.quantile(measure(run)[member], ACTIVE_QUANTILE)) if enough else -0.99, -0.99, None
    )


def members(run: RunFolder, region: int) -> np.ndarray:
    """Return which items of a run lie in a region of its atlas: bool of shape (N,)."""
    assert run.regions is not None and run.item_regions is not None
    return np.asarray(items_in(run.regions, run.item_regions)[region])


def _activation(concept: np.ndarray, run: RunFolder) -> np.ndarray:
    """Return a concept's CAS in each item."""
    return np.asarray(run.by_concept.cas(concept, run.items.height).toarray().ravel(), np.float64)


def _along(scale: Scale, direction: np.ndarray, run: RunFolder) -> np.ndarray:
    """Return items' profiles projected on a direction."""
    cas = cas_of(run.by_concept, np.arange(run.items.height), scale.concepts)
    return np.asarray(profiles_of(cas, scale) @ direction, np.float64)


def _direction(run: RunFolder, member: np.ndarray, others: np.ndarray) -> tuple[partial[np.ndarray], np.ndarray]:
    """Return the measure along a slice's direction, and its values on the run's items, by means that leave each one
    out.
    """
    concepts = np.flatnonzero(run.by_concept.support >= MIN_ACTIVE_ITEMS)
    cas = cas_of(run.by_concept, np.arange(run.items.height), concepts)
    scale = scale_of(cas, concepts)
    profiles = profiles_of(cas, scale)
    if min(member.sum(), others.sum()) < 2:
        raise UserError("a slice of one item, or of all, has no direction.")
    means = [np.asarray(profiles[side].mean(axis=0)).ravel() for side in (member, others)]
    inside, outside = (profiles @ mean for mean in means)
    square = np.asarray(profiles.multiply(profiles).sum(axis=1)).ravel()
    # The mean without x: (n m - x) / (n - 1).
    inside[member] = (member.sum() * inside[member] - square[member]) / (member.sum() - 1)
    outside[others] = (others.sum() * outside[others] - square[others]) / (others.sum() - 1)
    return partial(_along, scale, means[0] - means[1]), np.asarray(inside - outside, np.float64)


def _threshold(values: np.ndarray, member: np.ndarray) -> tuple[float, float]:
    """Return the threshold of membership, and the AUC of the slice's items against others.

    The threshold is the lower quartile of the slice's items or, if higher, the value above which half of all items are
    the slice's.
    """
    from scipy.stats import rankdata

    count = member.sum()
    rank = rankdata(values)[member].sum() - count * (count + 1) / 2
    auc = float(rank / max(1, count * (~member).sum()))
    order = np.argsort(-values, kind="stable")
    precise = np.cumsum(member[order]) >= PRECISION * np.arange(1, len(order) + 1)
    enough = precise & (np.cumsum(member[order]) >= MIN_MEMBERS)
    least = values[order][np.flatnonzero(enough)[-1]] if enough.any() else np.median(values[member])
    return float(max(least, np.quantile(values[member], ACTIVE_QUANTILE))), auc


@dataclass(frozen=True)
class Fresh:
    """A model's scores on new items with a slice, against new items without it. Scores and gaps as fractions of 1."""

    items: int
    """New items with the slice that were scored."""
    others: int
    """Comparable new items without it."""
    mean: float
    others_mean: float
    """Mean score of the others, of the same lengths if there are enough."""
    gap: float
    low: float
    """Lower end of the 95% interval of the gap."""
    high: float
    expected: float | None
    """The gap predicted by the run's answer; None: the slice is no finding."""
    verdict: Literal["holds", "leans", "not"] | None
    """``holds``: the whole interval is on the finding's side of 0; ``leans``: only the gap is; ``not``: neither; None:
    the slice is no finding."""


def fresh_gap(
    scores: np.ndarray, inside: np.ndarray, others: np.ndarray, length: np.ndarray, expected: float | None = None
) -> Fresh | None:
    """Return the gap between new items with and without a slice, within strata of length if each has enough others.

    Parameters
    ----------
    scores : ndarray of float of shape (n,)
        NaN: unscored.
    inside, others : ndarray of bool of shape (n,)
        Items with and without the slice.
    length : ndarray of float of shape (n,)
        Length of each item.
    expected
        The gap predicted by the run's answer; None: the slice is no finding.

    Returns
    -------
    Fresh or None
        None: there are too few scored items on a side.
    """
    inside, others = (side & ~np.isnan(scores) for side in (inside, others & ~inside))
    if inside.any():
        others = others & (length >= length[inside].min()) & (length <= length[inside].max())
    if min(inside.sum(), others.sum()) < MIN_ITEMS_PER_SIDE:
        return None
    stratum = np.searchsorted(np.quantile(length[inside], np.linspace(0, 1, STRATA + 1)[1:-1]), length)
    if (np.bincount(stratum[others], minlength=STRATA)[stratum[inside]] < 2).any():
        stratum[:] = 0  # all lengths together
    counts = [np.maximum(np.bincount(stratum[side], minlength=STRATA), 1) for side in (inside, others)]
    sums = [np.bincount(stratum[side], scores[side], minlength=STRATA) for side in (inside, others)]
    part = np.bincount(stratum[inside], minlength=STRATA) / inside.sum()
    mean, beside = (float(part @ (total / count)) for total, count in zip(sums, counts, strict=True))
    # One variance within strata and sides.
    left = [scores[side] - (sums[at] / counts[at])[stratum[side]] for at, side in enumerate((inside, others))]
    spread = sum((residual**2).sum() for residual in left) / (
        inside.sum() + others.sum() - 2 * len(set(stratum[inside]))
    )
    error = np.sqrt(spread * (1 / inside.sum() + (part**2 / counts[1]).sum()))
    gap, half = mean - beside, Z_95 * float(error)
    verdict: Literal["holds", "leans", "not"] | None = None
    if expected is not None:
        same = gap * np.sign(expected)
        verdict = "holds" if same > half else "leans" if same > 0 else "not"
    return Fresh(int(inside.sum()), int(others.sum()), mean, beside, gap, gap - half, gap + half, expected, verdict)
