"""Sparse autoencoders: loading, the sanity gate, reference statistics, training."""

from competency_gaps.sae.gate import GateFigures, LatentStatistics, judge
from competency_gaps.sae.load import SparseAutoencoder, load_sae

__all__ = ["GateFigures", "LatentStatistics", "SparseAutoencoder", "judge", "load_sae"]
