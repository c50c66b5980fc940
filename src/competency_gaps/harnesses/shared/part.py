"""What lies at a path: the parts that can be read, each one benchmark of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.config import LogSource
from competency_gaps.items.item import Item, LeftOut, SourceReport
from competency_gaps.items.remark import Remark

NONE = "none"
"""``metric`` that takes the items without scores, for coverage."""

LogEntry = Item | LeftOut | SourceReport
"""What a log gives: items, records that became none, and at last a report of how it was read."""


@dataclass(frozen=True)
class LogPart:
    """One benchmark of one model in another tool's output."""

    format: str
    """Its name among ``registry.LOGS``."""
    benchmark: str
    """Its name; unique among the parts of one path."""
    files: tuple[Path, ...]
    """What is read for it; the first holds the records."""
    model: str | None = None
    """The model as the tool names it; None: not said."""
    stamp: str | None = None
    """When the tool wrote it, as the tool says it; sorts by time. Null: not said."""
    notes: tuple[Remark, ...] = ()
    """What people should know of the choice of this part, such as files that could have been read instead; goes to the
    report's warnings."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else the format's ``read`` needs."""


class Reader(NamedTuple):
    """A format: how its parts are found, and how one is read."""

    looked_for: str
    """The tool and its files, in a few words."""
    find: Callable[[Path], list[LogPart]]
    """Parts of this format in a file, or in a folder and those below it; empty if there are none. Cheap: it reads
    the heads of files only. Parts of one task of one model are one part already (the newest; ``notes`` name the
    others)."""
    read: Callable[[LogPart, LogSource], Iterator[LogEntry]]
    """Stream a part's entries; a ``SourceReport`` comes once, when it is complete. Items have the policy
    ``imported``. Raises ``UserError`` if ``metric``, ``filter`` or ``scorer`` name what is not there."""
