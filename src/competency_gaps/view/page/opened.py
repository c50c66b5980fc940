"""The runs that an explorer shows: each with a name for addresses, a title, and the dictionary of its concepts.

A run's folder may change while it is shown. What other commands add (robustness, lists, improvements) is read
again. If the run itself changes, every request fails, so that old and new numbers are never mixed.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.concepts.folder import Dictionary, dictionary_of
from competency_gaps.pipeline.without_reading import open_source
from competency_gaps.runs.manifest import FILE
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.errors import UserError
from competency_gaps.util.text import visible
from competency_gaps.view.page.parts import Context, Parts
from competency_gaps.view.page.tools import ask

MAX_KEY_LENGTH = 40
BODY = (FILE, "*.parquet")
"""Files that make up the run; ``cgaps concepts name`` writes tables before the manifest."""
ADDED = ("robustness.json", "lists/*.json", "improve/*", "improve/*/*")
"""Files that other commands add to a finished run."""

Stamp = tuple[tuple[str, int, int], ...]
"""Files that are there, each with the time of its last change in nanoseconds and its size."""


class ChangedError(UserError):
    """The run changed while it was shown."""


class Shown(NamedTuple):
    """What is shown of a run until something is added to it."""

    added: Stamp
    """The added files that it shows."""
    parts: Parts
    """Its parts, one detail each. They keep what they have read, so all requests share them."""


@dataclass
class Opened:
    """A run in an explorer."""

    key: str
    """Its name in addresses and paths, unique here: lower-case letters, digits and dashes."""
    title: str
    """Name of its folder, with the folder above where two are alike."""
    run: RunFolder
    dictionary: Dictionary | None
    stamp: Stamp
    """Of its own files, when the run was opened."""
    _shown: Shown | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def now(self, command: str = "cgaps explore") -> Shown:
        """Return the run as it is shown now, including what other commands have added.

        Parameters
        ----------
        command
            The command to start again, for the error message.

        Raises
        ------
        ChangedError
            If the run itself changed.
        """
        if _stamp(self.run.path, BODY) != self.stamp:
            raise ChangedError(f"the run changed while it was open: restart {command}")
        added = _stamp(self.run.path, ADDED)
        with self._lock:
            if self._shown is None or added != self._shown.added:
                self._shown = Shown(added, Parts(Context(self.run, self.key, self.dictionary)))
            return self._shown

    def ask(self, name: str, arguments: Any, command: str = "cgaps explore") -> dict[str, Any]:
        """Return a tool's answer (:func:`~competency_gaps.view.page.tools.ask`) about the run as it is shown now.

        Raises
        ------
        ChangedError
            If the run itself changed, before the question or during it.
        """
        self.now(command)
        result = ask(self.run, name, arguments)
        self.now(command)
        return result


def _stamp(folder: Path, patterns: Iterable[str]) -> Stamp:
    files = []
    for file in (file for pattern in patterns for file in sorted(folder.glob(pattern))):
        with suppress(OSError):  # it may be gone by now
            files.append((str(file), file.stat().st_mtime_ns, file.stat().st_size))
    return tuple(files)


def open_runs(paths: Sequence[Path]) -> list[Opened]:
    """Return runs opened for an explorer.

    Parameters
    ----------
    paths
        Run folders or logs, at least one.

    Raises
    ------
    UserError
        If no path is given, a path is given twice, or a folder is no finished run.
    """
    if not paths:
        raise UserError("no run given: give one or more run folders.")
    places = [path.resolve() for path in paths]
    for path, count in Counter(places).items():
        if count > 1:
            raise UserError(f"the run {str(path)!r} is given {count} times. Give it once.")
    runs = [open_source(path) for path in paths]
    opened: list[Opened] = []
    for run, title in zip(runs, _titles(places), strict=True):
        key = _key(run.shown_path.resolve().name[:MAX_KEY_LENGTH], opened)
        opened.append(Opened(key, title, run, dictionary_of(run), _stamp(run.path, BODY)))
    return opened


def _key(name: str, opened: Sequence[Opened]) -> str:
    base = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "run"
    key, number = base, 2
    while any(run.key == key for run in opened):
        key, number = f"{base}-{number}", number + 1
    return key


def _titles(places: Sequence[Path]) -> list[str]:
    names = Counter(path.name for path in places)
    return [visible(path.name if names[path.name] == 1 else f"{path.parent.name}/{path.name}") for path in places]
