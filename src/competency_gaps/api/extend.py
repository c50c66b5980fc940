"""Decorators that register scorers, sources, log formats and families of slices, for this process.

An installed package adds them permanently through entry points (``competency_gaps.scorers`` and so on).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from competency_gaps.items.registry import LOGS, SCORERS, SLICES, SOURCES
from competency_gaps.pipeline.load import check_scorer

T = TypeVar("T")


def scorer(name: str) -> Callable[[T], T]:
    """Register a scorer: a frozen dataclass that extends :class:`~competency_gaps.Scorer`.

    Its fields are the options that a benchmark's ``options`` may set; their types check the values.

    Parameters
    ----------
    name
        The name to give as a benchmark's ``scorer``.

    Raises
    ------
    UserError
        If the name is taken, or the class is not such a dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import competency_gaps as cg
    >>> @cg.scorer("starts_with")
    ... @dataclass(frozen=True)
    ... class StartsWith(cg.Scorer):
    ...     name = "starts_with"
    ...     max_new_tokens: int = 16
    ...     def request(self, item):
    ...         return cg.Generation(self.max_new_tokens)
    ...     def score(self, item, output):
    ...         return cg.Score(float(output.text.strip().startswith(item.answer)), output.text)
    """

    def decorate(value: T) -> T:
        check_scorer(name, value)
        return SCORERS.register(name)(value)

    return decorate


def source(kind: str) -> Callable[[T], T]:
    """Register a source of items: a function that yields :class:`~competency_gaps.Item`.

    Parameters
    ----------
    kind
        The name to give as ``kind`` of a benchmark's ``source``. The other keys there are the function's arguments,
        checked against its annotations.

    Raises
    ------
    UserError
        If the name is taken.
    """
    return SOURCES.register(kind)


def log(format_: str) -> Callable[[T], T]:
    """Register a format of logs: a :class:`~competency_gaps.logs.reader.Reader`.

    Parameters
    ----------
    format_
        Name of the format.

    Raises
    ------
    UserError
        If the name is taken.
    """
    return LOGS.register(format_)


def slice_family(name: str) -> Callable[[T], T]:
    """Register a family of slices: a function from a run to slices' weights (one per item, in [0, 1]) by name.

    Parameters
    ----------
    name
        Name of the family.

    Raises
    ------
    UserError
        If the name is taken.

    Examples
    --------
    >>> import competency_gaps as cg
    >>> @cg.slice_family("openings")
    ... def openings(run):
    ...     return {"asks why": [float(text.startswith("Why")) for text in run.items["prompt"]]}
    """
    return SLICES.register(name)
