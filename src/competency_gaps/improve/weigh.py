"""Item weights under which slices count alike, and what repeats what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competency_gaps.runs.open import RunFolder


@dataclass(frozen=True)
class Weights:
    """Item weights."""

    def write(self, path: Path) -> None:
        """Write them."""


@dataclass(frozen=True)
class Redundancy:
    """What repeats what."""


def weights(run: RunFolder) -> Weights:
    """Weigh the items, as :meth:`competency_gaps.Run.weights` describes."""
    return Weights()


def redundancy(run: RunFolder) -> Redundancy:
    """What repeats what, as :meth:`competency_gaps.Run.redundancy` describes."""
    return Redundancy()


@dataclass(frozen=True)
class RunPlots:
    """Pictures of a run."""

    run: RunFolder

    def redundancy(self) -> Any:
        """What repeats what, as a matplotlib figure."""
        return None
