"""Where latents are strongest: the peak of each in each text, and a fixed number of peaks kept over a corpus."""

from __future__ import annotations

import numpy as np


def find_peaks(latent: np.ndarray, place: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Find each latent's largest activation in each place (a window or a text).

    Parameters
    ----------
    latent, place : ndarray of int of shape (activations,)
    value : ndarray of float of shape (activations,)

    Returns
    -------
    ndarray of int64 of shape (peaks,)
        Indices, ordered by latent, then place; of equal activations the first.
    """
    if not len(latent):
        return np.zeros(0, np.int64)
    order = np.lexsort((-value, place, latent))  # stable
    ordered, where = latent[order], place[order]
    peaks: np.ndarray = order[np.r_[True, (ordered[1:] != ordered[:-1]) | (where[1:] != where[:-1])]]
    return peaks


class KeptPeaks:
    """For each latent, the peaks that come first by a key, in memory that does not grow with their number.

    However peaks are grouped into additions, the same are kept; of equal keys those that were added first.

    Parameters
    ----------
    width
        Number of latents.
    count
        Peaks that are kept of each.
    facts
        For each fact of a peak, its type, or its type and shape.
    """

    def __init__(self, width: int, count: int, **facts: np.dtype | tuple[np.dtype, tuple[int, ...]]) -> None:
        self._count = count
        self._key = np.full((width, count), np.inf)
        shapes = {name: fact if isinstance(fact, tuple) else (fact, ()) for name, fact in facts.items()}
        self._facts = {name: np.full((width, count, *shape), -1, kind) for name, (kind, shape) in shapes.items()}

    def __getitem__(self, fact: str) -> np.ndarray:
        """A fact of the kept peaks: shape (width, count, ...), in the order of their keys; -1 where there are fewer."""
        return self._facts[fact]

    def add(self, latent: np.ndarray, key: np.ndarray, **facts: np.ndarray) -> None:
        """Add peaks: arrays of shape (peaks,) or (peaks, ...), the smallest keys being kept."""
        fresh = key < self._key[latent, -1]
        latent, key = latent[fresh], key[fresh]
        touched, rows = np.unique(latent, return_inverse=True)
        row = np.concatenate([np.repeat(np.arange(len(touched)), self._count), rows])
        keys = np.concatenate([self._key[touched].ravel(), key])
        order = np.lexsort((keys, row))
        starts = np.searchsorted(row[order], np.arange(len(touched)))
        kept = order[starts[:, None] + np.arange(self._count)]
        self._key[touched] = keys[kept]
        for name, known in self._facts.items():
            old = known[touched].reshape(-1, *known.shape[2:])
            known[touched] = np.concatenate([old, facts[name][fresh].astype(known.dtype)])[kept]
