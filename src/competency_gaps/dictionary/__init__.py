"""Concepts: their kinds, labels and themes."""
