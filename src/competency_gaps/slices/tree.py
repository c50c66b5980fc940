"""A tree of items: clusters at several scales, the finer ones below those that hold most of their items."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.errors import MissingExtraError
from competency_gaps.slices.family import LEAST, Family, family_of

SCALES = (6, 14, 44, 150)
"""Numbers of clusters, from coarse to fine."""


def tree_of(name: str, space: np.ndarray, rows: np.ndarray, items: int, seed: int = 0) -> Family | None:
    """Cluster items at several scales.

    Parameters
    ----------
    name
        Of the family.
    space : ndarray of float32 of shape (n, d)
        One unit vector per clustered item.
    rows : ndarray of int of shape (n,)
        Their rows in ``items.parquet``.
    items
        Rows of ``items.parquet``.

    Returns
    -------
    Family or None
        Its names are empty yet. None: there are too few items.

    Raises
    ------
    MissingExtraError
        If scikit-learn is missing.
    """
    try:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "run", "Clustering items") from error
    members: list[np.ndarray] = []
    parents: list[int] = []
    coarser = np.full(len(rows), -1, np.int64)
    for scale in SCALES:
        if scale * LEAST > len(rows):
            break
        with threadpool_limits(1):  # another order of summation would change the clusters
            cluster = KMeans(scale, n_init=2, random_state=seed).fit_predict(space)
        finer = coarser.copy()
        for number in range(scale):
            inside = cluster == number
            if inside.sum() < LEAST:
                continue
            above = coarser[inside]
            held = np.bincount(above[above >= 0]) if (above >= 0).any() else np.zeros(0)
            parents.append(int(held.argmax()) if len(held) else -1)
            finer[inside] = len(members)
            members.append(rows[inside])
        coarser = finer
    if not members:
        return None
    start = np.concatenate([[0], np.cumsum([len(member) for member in members])])
    index = np.concatenate(members)
    weights = sp.csr_array((np.ones(len(index), np.float32), index, start), shape=(len(members), items))
    return family_of(name, weights, [""] * len(members), parent=np.array(parents))
