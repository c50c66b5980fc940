"""How names of models and places on a disk are shown: nobody may take one model for another, and what is mailed names
files and folders, but not where they lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

from competency_gaps.runs.open import RunFolder
from competency_gaps.util.text import shorten, visible
from competency_gaps.view.page.parts.records.run import Scored
from competency_gaps.view.words import short_name

_ROOT = r"(?:~[\w.-]*|[A-Za-z]:)?[/\\]"
_PATH = re.compile(
    rf"""(?P<quote>['"])(?:file://)?(?P<inside>{_ROOT}[^'"\n]*)(?P=quote)"""
    # What stands before a bare one keeps addresses (https://...), fractions and closing tags out.
    rf"|(?<![\w/.~\\])(?!(?<=:)//)(?:file://)?{_ROOT}(?:[^\s'\"`<>()\[\]{{}},;/\\]+[/\\])+"
)
_WHOLE = re.compile(rf"(?:file://)?{_ROOT}[^\n]{{1,4096}}")


def last_names(value: Any) -> Any:
    """Put, in texts, the last name of each absolute path in the path's place.

    Parameters
    ----------
    value
        A text, or lists, tuples and mappings of texts; what is no text stays, and so do keys.

    Returns
    -------
    The same, tuples as lists
        A text that begins as a path and has one line is one path, blanks and all. Elsewhere a path ends at a blank
        unless it is quoted. Addresses (``https://...``) and paths that begin at no root stay.
    """
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) and " /" not in value:
            return _last(value)
        return _PATH.sub(
            lambda match: match["quote"] + _last(match["inside"]) + match["quote"] if match["quote"] else "", value
        )
    if isinstance(value, dict):
        return {key: last_names(item) for key, item in value.items()}
    return [last_names(item) for item in value] if isinstance(value, (list, tuple)) else value


def _last(path: str) -> str:
    """The last name of a path of either kind; a root has none and stays."""
    # On this side a Windows path is the wider kind: both slashes part its names.
    return PureWindowsPath(path.rstrip("/\\")).name or path


NOT_SCORED = "none"
"""Scorer of benchmarks that are read without scores."""
_NAME_LIMIT = 80


def scored_of(run: RunFolder) -> Scored:
    """Return whose scores a run shows, without reading a table."""
    manifest: Mapping[str, Any] = run.manifest
    model, reader = (_shown(short_name(name)) for name in (run.scored_model, run.reader or ""))
    if all(entry["scorer"] == NOT_SCORED for entry in manifest["benchmarks"]):
        sentence = f"{reader} reads the items. This run has no scores of its own." if reader else ""
        return Scored(model, reader, sentence, scored=False)
    sentence = f"Scores of {model}."
    if model == reader:
        sentence += " It also reads the items."
    elif reader:
        sentence += f" {reader} reads the items: its concepts say what an item is about, not what goes on in {model}."
    return Scored(model, reader, sentence, scored=True)


def display_names(models: Sequence[str]) -> list[str]:
    """Return names of models as shown: without folders, and numbered where several would be equal."""
    return numbered([_shown(short_name(name)) for name in models])


def numbered(names: Sequence[str]) -> list[str]:
    """Number those of some names that are alike."""
    return [
        f"{name} ({names[: at + 1].count(name)})" if names.count(name) > 1 else name for at, name in enumerate(names)
    ]


def _shown(name: str) -> str:
    """A name on one line, cut to ``_NAME_LIMIT`` characters."""
    return visible(shorten(name, _NAME_LIMIT))
