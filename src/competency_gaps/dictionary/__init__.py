"""What a concept is: its label, and whether it is a competency at all."""

from competency_gaps.dictionary.flags import Flags, LatentFacts, flag

__all__ = ["Flags", "LatentFacts", "flag"]
