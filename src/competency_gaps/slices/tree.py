"""A tree of items: clusters at several scales, each below the coarser cluster that contains most of its items."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from competency_gaps.reading.by_concept import ByConcept
from competency_gaps.reading.profiles import (
    MIN_ACTIVE_ITEMS,
    SINGULAR_VECTORS,
    cas_of,
    one_thread,
    profiles_of,
    scale_of,
    unit,
)
from competency_gaps.slices.family import MIN_ITEMS, Family, family_of, ones_at

SCALES = (6, 14, 44, 150)
"""Numbers of clusters, from coarse to fine. Chosen, together with the form of profiles, on the scores of fourteen
models on 12,032 questions, by how well a list of slices predicts held-out outcomes (correlation). Recursive k-means,
Ward's trees and more singular vectors predict less. The finest scale does not predict better, but gives sharper
slices."""
K_MEANS_ITERATIONS = 30
"""Twice as many iterations lower the distances by less than 1 in 1,000."""
MIN_TREE_ITEMS = 120
"""Minimum number of items for a tree: twenty for each of the coarsest clusters."""


def tree_of(
    name: str, space: np.ndarray, rows: np.ndarray, items: int, seed: int = 0, scales: Sequence[int] = SCALES
) -> Family | None:
    """Return a tree of items, clustered at several scales; None with too few items.

    Parameters
    ----------
    name
        Name of the family.
    space : ndarray of float32 of shape (n, d)
        One unit vector per clustered item.
    rows : ndarray of int of shape (n,)
        Their rows in ``items.parquet``.
    items
        Number of rows of ``items.parquet``.
    scales
        Numbers of clusters, ascending.

    Returns
    -------
    Family or None
        Slices without names, with the items nearest to each node's mean as typical ones.
    """
    # One thread, because another order of summation would change rounding, and so clusters.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about empty clusters, which become no slices
        members: list[np.ndarray] = []
        parents: list[int] = []
        coarser = np.full(len(rows), -1, np.int64)
        for scale in scales:
            if scale * MIN_ITEMS > len(rows):
                break
            cluster = _k_means(space, scale, seed)
            finer = coarser.copy()
            for number in range(scale):
                inside = np.flatnonzero(cluster == number)
                if len(inside) < MIN_ITEMS:
                    continue
                above = coarser[inside]
                counts = np.bincount(above[above >= 0])
                parents.append(int(counts.argmax()) if len(counts) else -1)
                finer[inside] = len(members)
                members.append(inside)
            coarser = finer
    if not members:
        return None
    typical = []
    for member in members:
        vectors = space[member]
        nearest = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")[:2]
        typical.append(rows[member[nearest]].tolist())
    weights = ones_at([rows[member] for member in members], items)
    return replace(family_of(name, weights, [""] * len(members), parent=np.array(parents)), typical=typical)


def _k_means(space: np.ndarray, scale: int, seed: int) -> np.ndarray:
    """Return each item's cluster, from the better of two starts."""
    from scipy.cluster.vq import kmeans2  # imports what no run of logs needs

    clusterings = [
        kmeans2(space, scale, iter=K_MEANS_ITERATIONS, minit="points", rng=np.random.default_rng([seed, start]))
        for start in (0, 1)
    ]
    return min(clusterings, key=lambda clustering: ((space - clustering[0][clustering[1]]) ** 2).sum())[1]


def concept_space(by_concept: ByConcept, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return items as unit vectors in the space of their concepts.

    These are their profiles, reduced by a truncated singular value decomposition [ours].

    Parameters
    ----------
    rows : ndarray of int of shape (n,)
        Rows of ``items.parquet``.

    Returns
    -------
    ndarray of float32 of shape (n, d)
        A zero row where no concept that takes part is active.

    Raises
    ------
    MissingExtraError
        If scikit-learn is missing.
    """
    with one_thread():
        from sklearn.decomposition import TruncatedSVD

        concepts = np.flatnonzero(by_concept.support >= MIN_ACTIVE_ITEMS)
        cas = cas_of(by_concept, rows, concepts)
        profiles = profiles_of(cas, scale_of(cas, concepts))
        size = min(SINGULAR_VECTORS, min(profiles.shape) - 1)
        if size < 1:
            return np.zeros((len(rows), 1), np.float32)
        return unit(TruncatedSVD(size, random_state=seed).fit_transform(profiles)).astype(np.float32)
