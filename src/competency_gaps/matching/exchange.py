"""Exchange the verdicts of a run's concepts, so that they have nothing to do with a list [ours].

Concepts that are active on the same items are weak together, so weak concepts are not exchanged one by one: each group
(a leader and those that follow it) goes as a whole to another place. A place is a tested concept of about the leader's
support, and those tested concepts whose saliency over the run's items is most correlated with that concept's. Groups
keep their number and sizes, and do not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from competency_gaps.metrics.suite import saliency

CLASSES = 8
"""Classes of support, each of about as many concepts."""
PLACES = 2048
"""Most places for groups, drawn at random in equal parts from the classes of support."""
BLOCK = 256
"""Places whose neighbours are sought at a time."""


@dataclass(frozen=True)
class Verdicts:
    """Verdicts on M concepts, or on M themes: arrays of shape (M,)."""

    weak: np.ndarray
    """bool."""
    leader: np.ndarray
    """int64: of a weak concept, the concept that leads its group, itself if it leads; not read for the others."""
    tested: np.ndarray
    """bool: had enough evidence for a verdict, as all that are weak had."""
    support: np.ndarray
    """int64: items of the run in which it is active."""


class GroupExchange:
    """Moves groups of weak concepts to other places.

    Parameters
    ----------
    verdicts
        Verdicts on M concepts.
    rows : csr_array of float of shape (M, N)
        Concept activation scores in the run's N items, at least 0.
    seed
        Seed of the choice of places, where there are more than ``PLACES``.
    """

    def __init__(self, verdicts: Verdicts, rows: sp.csr_array, seed: int) -> None:
        self._able = np.flatnonzero(verdicts.tested)
        self._width = len(verdicts.tested)
        weak = verdicts.weak[self._able]
        leaders, sizes = np.unique(verdicts.leader[self._able][weak], return_counts=True)
        own = support_classes(verdicts.support[self._able])
        drawn = np.random.default_rng([seed, 2**30]).permutation(len(own))
        of_class = [drawn[own[drawn] == number][: PLACES // CLASSES] for number in range(CLASSES)]
        starts = np.cumsum([0, *map(len, of_class)])
        self._near = neighbours(sp.csr_array(rows[self._able]), np.concatenate(of_class), int(weak.sum()))
        class_of = own[np.searchsorted(self._able, leaders)]
        self._groups: list[tuple[int, np.ndarray]] = []
        """Size of each group of several, the largest first, and the rows of ``_near`` to which it may go."""
        for group in np.argsort(-sizes, kind="stable")[: int((sizes > 1).sum())]:
            number = class_of[group]
            self._groups.append((int(sizes[group]), np.arange(starts[number], starts[number + 1])))
        alone = np.bincount(class_of[sizes == 1], minlength=CLASSES)
        self._alone = [(int(count), np.flatnonzero(own == number)) for number, count in enumerate(alone) if count]
        """Groups of a single concept in each class of support, and the concepts to which they may go."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Which concepts are weak after an exchange: bool of shape (M,)."""
        taken = np.zeros(len(self._able), bool)
        for size, places in self._groups:
            free = places[~taken[self._near[places, 0]]]
            free = free if len(free) else places
            near = self._near[free[rng.integers(len(free))]]
            taken[near[~taken[near]][:size]] = True
        for count, concepts in self._alone:
            free = concepts[~taken[concepts]]
            # Where larger groups have taken too many of a class, the rest goes to any class.
            free = free if len(free) >= count else np.flatnonzero(~taken)
            taken[rng.permutation(free)[:count]] = True
        weak = np.zeros(self._width, bool)
        weak[self._able[taken]] = True
        return weak


def support_classes(support: np.ndarray) -> np.ndarray:
    """Number the classes of support: int64 of shape (M,), from 0 to ``CLASSES - 1``, each of about as many concepts."""
    place = np.argsort(np.argsort(support, kind="stable"), kind="stable")
    return np.asarray(place * CLASSES // max(1, len(support)))


def neighbours(rows: sp.csr_array, places: np.ndarray, count: int) -> np.ndarray:
    """The concepts whose saliency over the items is most correlated with that of some of them.

    Parameters
    ----------
    rows : csr_array of shape (T, N)
        Concept activation scores.
    places : ndarray of int of shape (P,)
        Concepts whose neighbours are sought.
    count
        Neighbours of each.

    Returns
    -------
    ndarray of int64 of shape (P, count)
        The concept itself, then the others, the most correlated first.
    """
    rows = sp.csr_array(rows, dtype=np.float64, copy=True)
    active = np.diff(rows.indptr)
    typical = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(1, active)
    rows.data = saliency(rows.data, np.repeat(np.maximum(typical, 1e-300), active))
    mean = np.asarray(rows.mean(axis=1)).ravel()
    spread = np.sqrt(np.maximum(0.0, np.asarray(rows.power(2).mean(axis=1)).ravel() - mean**2))
    near = np.empty((len(places), count), np.int64)
    for start in range(0, len(places), BLOCK):
        own = places[start : start + BLOCK]
        product = (rows[own] @ rows.T).toarray() / max(1, rows.shape[1]) - np.outer(mean[own], mean)
        # The place's own spread does not change the order of its neighbours.
        correlation = np.divide(product, spread, out=np.full_like(product, -np.inf), where=spread > 0)
        correlation[np.arange(len(own)), own] = np.inf
        near[start : start + BLOCK] = np.argsort(-correlation, axis=1, kind="stable")[:, :count]
    return near
