"""Options of a log: those that a format does not have, and which metric is the score."""

from __future__ import annotations

from collections.abc import Sequence

from competency_gaps.config import LogSource
from competency_gaps.errors import UserError, nearest
from competency_gaps.harnesses.shared.part import NONE, LogPart


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


def chosen_metric(source: LogSource, part: LogPart, known: Sequence[str], *, usable: Sequence[str]) -> str:
    """The metric that was asked for, else the first that can be a score; ``none`` takes items without scores.

    Parameters
    ----------
    known
        Every metric that is there and may be asked for.
    usable
        Those that can be taken unasked.

    Raises
    ------
    UserError
        If the metric is not there, or none is a score and none was asked for.
    """
    file, wanted = part.files[-1], source.metric
    if wanted is None and usable:
        return usable[0]
    if wanted == NONE or (wanted is not None and wanted in known):
        return wanted
    there = ", ".join(known) or "none"
    if wanted is None:
        raise UserError(
            f"{file}: no metric is known as a score; there are {there}. Name one with 'metric', or give {NONE!r} to "
            "use the items without scores."
        )
    raise UserError(f"{file} has no metric {wanted!r}; there are {there}.{nearest(wanted, known)}")
