"""What ``cgaps improve`` says, in a terminal: kept items, items that look broken, drafts, weights, redundancy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from competency_gaps.report.tables import plain

if TYPE_CHECKING:
    from competency_gaps.improve.weigh import Redundancy, Weights


def kept_view(kept: Any) -> RenderableType:
    """Say how well the kept items tell what all items say, and what may be done with them."""
    return plain(str(kept))


def predicted_view(predicted: Any) -> RenderableType:
    """Say what a new model would score on all items, and on the slices."""
    return plain(str(predicted))


def suspects_view(suspects: Any, limit: int | None) -> RenderableType:
    """List the items that look broken, with the reasons."""
    return plain(str(suspects))


def drafts_view(drafts: Any, limit: int | None) -> RenderableType:
    """Say which new items were kept and refused, and what they change."""
    return plain(str(drafts))


def weights_view(weights: Weights, redundancy: Redundancy, limit: int | None) -> RenderableType:
    """Say whether even slices change the order of the models, and what repeats what."""
    return plain(f"{weights}\n{redundancy}")
