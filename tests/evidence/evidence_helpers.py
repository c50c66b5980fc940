"""Sums of plain arrays, as the tests of evidence need them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import BlockSums, block_sums


def sums_of(*parts: tuple[sp.csr_array | np.ndarray, np.ndarray]) -> BlockSums:
    """Sums over blocks, each given as CAS of shape (units, concepts) and outcomes."""
    cas = sp.csr_array(sp.vstack([sp.csr_array(part) for part, _ in parts], format="csr"))
    block = np.repeat(np.arange(len(parts)), [len(outcome) for _, outcome in parts])
    return block_sums(sp.csr_array(cas.T), np.concatenate([outcome for _, outcome in parts]), block, len(parts))
