"""Item-major CAS in memory, read by concept."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp

PART = 4_000_000
"""Non-zeros transposed at a time, so that a part's columns fit the processor's cache."""
WORKERS = 4
"""Most threads."""


class RowsByConcept:
    """A transposed copy of CAS, in parts by item, each sorted by concept.

    Parameters
    ----------
    cas : csr_array of shape (N, concepts)
        Copied once.
    """

    def __init__(self, cas: sp.csr_array) -> None:
        cas = sp.csr_array(cas)
        count = max(1, -(-cas.nnz // PART))
        bounds = np.unique(np.linspace(0, cas.shape[0], count + 1).astype(int))
        starts = bounds[:-1] if len(bounds) > 1 else np.zeros(1, int)
        ends = bounds[1:] if len(bounds) > 1 else np.zeros(1, int)
        with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
            self._parts = list(pool.map(lambda start, end: _transposed(cas, start, end), starts, ends))
        support = np.stack([np.diff(part.indptr) for part in self._parts]).sum(axis=0, dtype=np.int64)
        self.support: np.ndarray = support
        """int64 of shape (concepts,): non-zeros of each row."""

    def __call__(self, concepts: np.ndarray) -> sp.csr_array:
        """Give the rows of some concepts: csr_array of shape (asked, N)."""
        rows = [_slice(part, concepts) for part in self._parts]
        return rows[0] if len(rows) == 1 else sp.csr_array(sp.hstack(rows, format="csr"))


def _transposed(cas: sp.csr_array, start: int, end: int) -> sp.csc_array:
    """Transpose some items, with indices of 32 bits where they fit."""
    first, last = cas.indptr[start], cas.indptr[end]
    kind = np.int32 if max(last - first, *cas.shape) < 2**31 else np.int64
    indptr = (cas.indptr[start : end + 1] - first).astype(kind)
    parts = (cas.data[first:last], cas.indices[first:last].astype(kind, copy=False), indptr)
    return sp.csc_array(sp.csr_array(parts, shape=(end - start, cas.shape[1])))


def _slice(part: sp.csc_array, concepts: np.ndarray) -> sp.csr_array:
    """Rows of some concepts; consecutive ones without a copy."""
    if len(concepts) == 0 or concepts[-1] - concepts[0] != len(concepts) - 1 or (np.diff(concepts) != 1).any():
        return sp.csr_array(part[:, concepts].T)
    first, last = int(concepts[0]), int(concepts[-1]) + 1
    start, stop = part.indptr[first], part.indptr[last]
    parts = (part.data[start:stop], part.indices[start:stop], part.indptr[first : last + 1] - start)
    return sp.csr_array(parts, shape=(len(concepts), part.shape[0]))
