"""Sparse autoencoders: loading, the sanity gate, reference statistics, training."""
