"""The activation of themes, from the rows of their concepts."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from competency_gaps.activations.by_concept import ByConcept
from competency_gaps.runs.manifest import FILE as MANIFEST
from competency_gaps.runs.open import RunFolder


def theme_rows(run: RunFolder, groups: pl.Series, ranked: np.ndarray) -> sp.csr_array:
    """The activation of themes: sums over their ranked concepts, kept for the next pair.

    Parameters
    ----------
    groups
        Theme of each concept; null: none.
    ranked : ndarray of bool of shape (concepts,)

    Returns
    -------
    csr_array of float32 of shape (themes, items)
    """
    number = groups.fill_null(-1).cast(pl.Int64).to_numpy()
    manifest = (run.path / MANIFEST).resolve()
    theme = np.where(ranked, number, -1)
    count = int(number.max(initial=-1)) + 1
    run.files.check_arrays()
    changed = manifest.stat().st_mtime_ns
    return _theme_rows(run.base / "activations", changed, run.items.height, theme.tobytes(), count)


@lru_cache(maxsize=2)
def _theme_rows(folder: Path, _: int, items: int, theme: bytes, count: int) -> sp.csr_array:
    """Give the rows of :func:`theme_rows`; the second argument changes with the run."""
    number = np.frombuffer(theme, np.int64)
    by_concept = ByConcept(folder)
    rows = [sp.csr_array((0, items), dtype=np.float32)]
    for own in range(count):
        cas = by_concept.cas(np.flatnonzero(number == own), items)
        total = np.bincount(cas.indices, weights=cas.data, minlength=items)
        rows.append(sp.csr_array(total.astype(np.float32)[None]))
    return sp.csr_array(sp.vstack(rows, format="csr"))
