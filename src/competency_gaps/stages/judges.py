"""Who has judged a run, and which of them is meant."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from competency_gaps.config import AskConfig
from competency_gaps.errors import UserError, argument
from competency_gaps.text import shorten, visible


def last_judge(config: AskConfig | None, judges: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Which of the judges that a run knows is meant; empty: none of them.

    Parameters
    ----------
    config
        None: the judge whose answers are kept.
    judges
        What was kept of each, with ``model`` and ``asked`` (false: requests were only written down).

    Raises
    ------
    UserError
        If nobody is named and there are several.
    """
    if config is not None and config.model is not None:
        return next((dict(judge) for judge in judges if judge["model"] == config.model), {})
    known = list(judges) if config is not None else [judge for judge in judges if judge["asked"]] or list(judges)
    if len(known) > 1:
        names = ", ".join(repr(shorten(visible(str(judge["model"])), 60)) for judge in known)
        raise UserError(
            f"{str(folder)!r} has answers or requests of several judges, {names}: name one with "
            f"{argument('judge.model')}. On its own it takes what that judge has answered."
        )
    return dict(known[0]) if known else {}


def read_judges(path: Path) -> list[dict[str, Any]]:
    """Who judged a run, the last one last, and with how much room for an answer; empty if nobody did."""
    return list(json.loads(path.read_text(encoding="utf-8"))["judges"]) if path.is_file() else []
