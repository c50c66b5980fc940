"""Command lines: the one that was typed, and those that are printed for people to type."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence

MODEL, SAE = "MODEL", "SAE"
"""Placeholders in a printed command for an unknown model or SAE."""


def typed_command() -> str:
    """The command as it was typed, for a run's manifest."""
    return shlex.join(["cgaps", *sys.argv[1:]])


def run_command(model: str, sae: str, source: Sequence[str], out: str | None = None) -> str:
    """A line of ``cgaps run``, quoted for a shell.

    Parameters
    ----------
    source
        Options that say what is evaluated.
    out
        The run folder; None: named after the model.
    """
    return shlex.join(["cgaps", "run", "--model", model, "--sae", sae, *source, "--out", out or run_folder(model)])


def run_folder(name: str) -> str:
    """A run folder that is named after the last part of a name."""
    last = name.rstrip("/").rpartition("/")[2].removeprefix("embedded:").removesuffix(".gguf")
    return "runs/" + (re.sub(r"[^\w.-]+", "-", last).strip("-.") or "run")


def log_options(logs: Sequence[str], options: Mapping[str, str | Sequence[str] | None]) -> list[str]:
    """``--log`` for each log, with the options that were given; None and empty lists are left out."""
    words = [word for log in logs for word in ("--log", log)]
    for name, value in options.items():
        for text in [value] if isinstance(value, str) else value or []:
            words += [f"--{name}", text]
    return words
