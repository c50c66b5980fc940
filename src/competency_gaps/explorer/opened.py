"""The runs that an explorer shows: each with a name for addresses, a title, and the dictionary of its concepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from competency_gaps.dictionary.of_run import dictionary_of
from competency_gaps.dictionary.open import Dictionary
from competency_gaps.errors import UserError
from competency_gaps.explorer.parts import Parts
from competency_gaps.runs.open import Run, open_run
from competency_gaps.text import visible

LONGEST_KEY = 40


@dataclass(frozen=True)
class Opened:
    """A run in an explorer."""

    key: str
    """Its name in addresses and paths: lower-case letters, digits and dashes, unlike that of any other run here."""
    title: str
    """Name of its folder, with the folder above where two are alike."""
    run: Run
    dictionary: Dictionary | None

    @cached_property
    def parts(self) -> Parts:
        """Its parts, each detail one of its own. They keep what they have read, so all who serve the run share them."""
        return Parts(self.run, key=self.key, dictionary=self.dictionary)


def open_runs(paths: Sequence[Path], dictionary: Path | None = None) -> list[Opened]:
    """Open runs for an explorer.

    Parameters
    ----------
    paths
        Run folders, at least one.
    dictionary
        Folder of a dictionary for those runs whose SAE it is about; the others, and all if it is null, take their own
        (:func:`~competency_gaps.dictionary.of_run.dictionary_of`).

    Raises
    ------
    UserError
        If a folder is no finished run or is given twice, or the dictionary is none or belongs to no run's SAE.
    """
    places = [path.resolve() for path in paths]
    for place, count in Counter(places).items():
        if count > 1:
            raise UserError(f"the run {str(place)!r} is given {count} times. Give it once.")
    runs = [open_run(path) for path in paths]
    found = [_dictionary(run, dictionary) for run in runs]
    if dictionary is not None and all(isinstance(one, UserError) for one in found):
        raise next(one for one in found if isinstance(one, UserError))
    keys, titles = _keys(places), _titles(places)
    return [
        Opened(key, title, run, dictionary_of(run) if isinstance(one, UserError) else one)
        for key, title, run, one in zip(keys, titles, runs, found, strict=True)
    ]


def run_list(
    opened: Sequence[Opened], mode: Literal["served", "static"], chat: dict[str, Any] | None
) -> dict[str, Any]:
    """``runs.json``: which runs are here.

    Parameters
    ----------
    chat
        Who answers questions; null in a static explorer.
    """
    return {
        "runs": [{"key": one.key, "title": one.title} for one in opened],
        "mode": mode,
        "chat": chat,
        "version": version("competency-gaps"),
    }


def _dictionary(run: Run, given: Path | None) -> Dictionary | UserError | None:
    try:
        return dictionary_of(run, given)
    except UserError as error:
        return error


def _keys(places: Sequence[Path]) -> list[str]:
    keys: list[str] = []
    for place in places:
        base = re.sub("[^a-z0-9]+", "-", place.name.lower())[:LONGEST_KEY].strip("-") or "run"
        key, number = base, 2
        while key in keys:
            key, number = f"{base}-{number}", number + 1
        keys.append(key)
    return keys


def _titles(places: Sequence[Path]) -> list[str]:
    names = Counter(place.name for place in places)
    return [visible(place.name if names[place.name] == 1 else f"{place.parent.name}/{place.name}") for place in places]
