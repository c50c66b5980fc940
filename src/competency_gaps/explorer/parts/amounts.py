"""How much the details of concepts and items hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Amounts:
    """Longest lists and texts; the defaults are those of a server."""

    strongest: int = 3
    """Items of a concept in which it is strongest."""
    best: int = 5
    """Its items of the best score."""
    worst: int = 5
    """Its items of the worst score."""
    coactive: int = 8
    """Concepts that are active in the same items."""
    similar: int = 10
    """Concepts with a similar decoder direction."""
    promoted: int = 10
    """Tokens that it promotes, and as many that it suppresses."""
    exemplars: int = 5
    """Windows of text."""
    exemplar_tokens: int | None = None
    """Tokens of a window, around its strongest; None: all."""
    entry_examples: int = 30
    """Examples of an entry of somebody's list."""
    active_tokens: int | None = None
    """Tokens of an item on which a concept is active, the strongest; None: all."""
    benchmarks: bool = True
    """Whether a concept's detail holds its numbers in each benchmark, or leaves them to the benchmarks' tables."""
    salient: int | None = None
    """Concepts of an item, the most salient; None: all that are active in it."""
    text: int | None = None
    """Characters of an item's text, response or answer; None: whole."""


SERVED = Amounts()
EXPORTED = Amounts(exemplars=3, benchmarks=False, entry_examples=12, active_tokens=32, salient=20, text=10_000)
"""[ours] For a run of few concepts: nearly all, except the ends of very long texts."""
EXPORTED_WIDE = Amounts(
    strongest=2,
    best=3,
    worst=3,
    coactive=5,
    similar=5,
    promoted=6,
    exemplars=1,
    exemplar_tokens=12,
    active_tokens=3,
    benchmarks=False,
    entry_examples=6,
    salient=10,
    text=4_000,
)
"""[ours] For a run of many concepts: 65,536 concepts with 20,000 items stay under 90 MB."""
WIDE = 20_000
"""Number of concepts from which an export uses ``EXPORTED_WIDE``."""
