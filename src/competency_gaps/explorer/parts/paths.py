"""Places on a disk: what is mailed names files and folders, but not where they lie."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PureWindowsPath
from typing import Any

_NAME = r"[^\s'\"`<>()\[\]{},;“”‘’«»/\\]+"
_ROOT = r"(?:~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
_QUOTED = r"""(?P<quote>['"])(?P<inside>(?:[a-z]+:/)?(?:/|~|[A-Za-z]:[\\/]|\\\\)[^'"\n]*)(?P=quote)"""
# What stands before it keeps addresses (https://...), fractions and closing tags out.
_BARE = rf"(?:(?<=[\s=(\[{{,;“‘«>'\"`])|^|(?<=:)(?!//))(?:file:/{{2,3}})?(?:{_ROOT}|/+{_NAME}[/\\])(?:{_NAME}|[/\\])*"
_PATH = re.compile(f"{_QUOTED}|{_BARE}")
_WHOLE = re.compile(r"(?:file:/{2,3})?(?:~[\w.-]*/|/|[A-Za-z]:[\\/]|\\\\).+", re.DOTALL)
_LONGEST_WHOLE = 4096
"""Characters of a path, at most; a longer text that begins like one is a text."""


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
        return _shortened(value)
    if isinstance(value, dict):
        return {key: last_names(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [last_names(item) for item in value]
    return value


def command_line(command: str | Sequence[str]) -> str:
    """A command as one line, in which paths are their last names.

    Parameters
    ----------
    command : str or sequence of str
        As a shell takes it, or its words.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    except ValueError:
        # A quote that is never closed: no shell would take it.
        return _PATH.sub(_replaced, str(command))
    return shlex.join(_word(word) for word in words)


def _word(word: str) -> str:
    name, sign, value = word.partition("=")
    return f"{name}={last_names(value)}" if sign and not _WHOLE.fullmatch(word) else str(last_names(word))


def _shortened(text: str) -> str:
    if "/" not in text and "\\" not in text:
        return text
    if len(text) <= _LONGEST_WHOLE and "\n" not in text and " /" not in text and _WHOLE.fullmatch(text):
        return _last(text)
    return _PATH.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    if match["quote"]:
        return f"{match['quote']}{_last(match['inside'])}{match['quote']}"
    return _last(match[0])


def _last(path: str) -> str:
    """The last name of a path of either kind; a root has none and stays."""
    # On this side a Windows path is the wider kind: both slashes part its names.
    return PureWindowsPath(path.rstrip("/\\")).name or path
