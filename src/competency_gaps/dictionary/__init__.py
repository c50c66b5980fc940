"""Concepts: their labels, and flags of those that are no competency."""

from competency_gaps.dictionary.flags import Flags, LatentFacts, flag

__all__ = ["Flags", "LatentFacts", "flag"]
