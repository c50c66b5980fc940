"""How rows of concept activation scores are stored in few bytes: 2 for a score, 2 for an index wherever it fits.

A score is stored as float16, in 32,768ths of the largest score of its row, which is stored once as float32:
``CAS = share / 32768 * scale``. So float16 is precise over nine orders of magnitude below the largest score:

- down to ``2^-29`` of the row's largest score, the stored score is off by at most ``2^-11`` (0.05%) of itself;
- below, by less than ``2^-39`` of the row's largest score;
- a score above 0 is stored as one above 0.

Scores that were read from disk are stored again as the same scores, so that copies of a row are equal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

WHOLE = 2.0**15
"""What the largest score of a row is stored as: a large float16, so that the range below it is wide."""
LEAST = np.float16(2.0**-24)
"""The smallest float16 above 0."""
_LEAST_SCORE = np.nextafter(np.float32(0), np.float32(1))
"""The smallest float32 above 0."""


class PackedScores(NamedTuple):
    """The scores of a CAS matrix as they are stored."""

    shares: np.ndarray
    """float16 of shape (non-zeros,), > 0: scores in 32,768ths of their row's scale."""
    scale: np.ndarray
    """float32 of shape (rows,): the largest score of each row; 0 in a row without concepts."""


def pack_scores(cas: sp.csr_array) -> PackedScores:
    """Round scores to what is stored.

    Parameters
    ----------
    cas : csr_array of float32
        Finite scores.
    """
    counts = np.diff(cas.indptr)
    filled = np.flatnonzero(counts)
    scores = np.asarray(cas.data, np.float32)
    scale = np.zeros(len(counts), np.float32)
    if len(filled):
        scale[filled] = np.maximum(np.maximum.reduceat(scores, cas.indptr[filled]), _LEAST_SCORE)
    shares = (scores / np.repeat(scale, counts) * np.float32(WHOLE)).astype(np.float16)
    return PackedScores(np.maximum(shares, LEAST), scale)


def unpack_scores(shares: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Scores as float32 of shape (n,), all above 0.

    Parameters
    ----------
    shares : ndarray of float of shape (n,)
        As they are stored.
    scale : ndarray of float32 of shape (n,) or (1,)
        The scale of each share's row.
    """
    return np.maximum(shares.astype(np.float32, copy=False) * np.float32(1 / WHOLE) * scale, _LEAST_SCORE)


def index_type(largest: int) -> type[np.unsignedinteger]:
    """The type of stored indices of which none is above ``largest``: uint16 up to 65,535, else uint32."""
    return np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32


def narrow(indices: np.ndarray) -> np.ndarray:
    """Indices, >= 0, in the type in which they are stored."""
    return indices.astype(index_type(int(indices.max(initial=0))))
