"""One thing to do next, and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from competency_gaps.explorer.parts.context import Context

SHOWN = 24
"""Concepts that a suggestion names."""


def command(context: Context, *words: str, options: Iterable[str] = ()) -> str:
    """Write a command on the run, as a shell takes it.

    Parameters
    ----------
    words : str
        The command's words, ``robustness`` or ``probe``, ``concept``.
    options : iterable of str
        What follows the run.
    """
    return shlex.join(["cgaps", *words, run_folder(context), *options])


def run_folder(context: Context) -> str:
    """The run's folder as a command names it: as it was given, but who has an export need not know where it lay."""
    return context.run.path.resolve().name if context.portable else str(context.run.path)
