"""Sums of plain arrays, as the tests of evidence need them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import Evidence, Thresholds, evidence, sample_of
from competency_gaps.evidence.sample import BlockSums, block_sums


def sums_of(*parts: tuple[sp.csr_array | np.ndarray, np.ndarray]) -> BlockSums:
    """Sums over blocks, each given as CAS of shape (units, concepts) and outcomes."""
    cas = sp.csr_array(sp.vstack([sp.csr_array(part) for part, _ in parts], format="csr"))
    block = np.repeat(np.arange(len(parts)), [len(outcome) for _, outcome in parts])
    return block_sums(sp.csr_array(cas.T), np.concatenate([outcome for _, outcome in parts]), block, len(parts))


def intervals(cas: np.ndarray | sp.csr_array, scores: np.ndarray, benchmark: np.ndarray, **given) -> Evidence:
    """The evidence of plain arrays without drawn tails, which intervals do not need."""
    return evidence(sample_of(sp.csr_array(cas), scores, benchmark, **given), Thresholds(), draw=False)


def side_by_side(weight: np.ndarray) -> sp.csr_array:
    """Worlds of one concept each, stacked: from weights of shape (worlds, items) to (worlds * items, worlds)."""
    worlds, items = weight.shape
    places = np.arange(worlds * items), np.repeat(np.arange(worlds), items)
    rows = sp.csr_array((weight.ravel(), places), shape=(worlds * items, worlds))
    rows.eliminate_zeros()
    return rows
