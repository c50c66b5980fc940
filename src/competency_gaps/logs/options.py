"""Options that a format does not have."""

from __future__ import annotations

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError
from competency_gaps.logs.part import LogPart


def refuse_options(source: LogSource, part: LogPart, *names: str) -> None:
    """Refuse options that would be read by nobody.

    Raises
    ------
    UserError
        If one of them is set.
    """
    for name in names:
        if getattr(source, name) is not None:
            raise UserError(f"{source.path}: a log of {part.format} has no {name}. Leave '{name}' out.")
