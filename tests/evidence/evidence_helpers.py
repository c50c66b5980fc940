"""Sums of plain arrays, as the tests of evidence need them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from competency_gaps.evidence import BlockSums, Outcomes, block_sums, chi_model_interval
from competency_gaps.evidence.measure import OF_PAIRS, ItemSums, _dense


def sums_of(*parts: tuple[sp.csr_array | np.ndarray, np.ndarray]) -> BlockSums:
    """Sums over blocks, each given as CAS of shape (units, concepts) and outcomes."""
    cas = sp.csr_array(sp.vstack([sp.csr_array(part) for part, _ in parts], format="csr"))
    block = np.repeat(np.arange(len(parts)), [len(outcome) for _, outcome in parts])
    return block_sums(
        sp.csr_array(cas.T), Outcomes.of(np.concatenate([outcome for _, outcome in parts]), block, len(parts))
    )


def chi_model_ends(sums: BlockSums) -> tuple[np.ndarray, np.ndarray]:
    """Ends of chi_model's interval in each block, of shape (concepts, blocks), where every item is a unit."""
    dense = {name: _dense(sums, getattr(sums, own)) for name, own in OF_PAIRS.items()}
    return chi_model_interval(ItemSums(sums.units, sums.outcome, clusters=sums.units, outcome=sums.outcome, **dense))
