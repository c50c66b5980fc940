"""The two kinds of failure that a user meets.

``UserError`` means that the input is wrong: the command line prints its message without a
traceback and exits with status 2. Everything else is a fault of the program or the machine
and exits with status 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from competency_gaps.util.text import listing, shorten

_SPELLING: ContextVar[Callable[[str], str]] = ContextVar("_SPELLING", default=str)


MESSAGE_LIMIT = 10_000
"""Most characters of a message, which may quote the content of a file."""


class CompetencyGapsError(Exception):
    """Base class of all errors that this package raises on purpose; a message beyond ``MESSAGE_LIMIT`` is cut."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten(message, MESSAGE_LIMIT))


class UserError(CompetencyGapsError):
    """The user's input is wrong; the message names the value, what was expected and what to do."""


class MachineError(CompetencyGapsError):
    """The machine has no more disk or memory, or refuses; the message says what to do. Finished work is safe."""


class MissingExtraError(UserError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: {install_command(extra)}"
        )


@contextmanager
def needed(package: str | None, extra: str, purpose: str) -> Iterator[None]:
    """Turn a failed import in the body into a MissingExtraError; with ``package`` None it names the missing module."""
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(package or str(error.name), extra, purpose) from error


def install_command(extra: str) -> str:
    """Return the commands that install an extra, from an index and in a checkout of this package."""
    return f"pip install 'competency-gaps[{extra}]' (in a checkout: pip install -e '.[{extra}]')"


def argument(name: str) -> str:
    """Return an argument as the user writes it: by its name in Python and configurations, as an option in commands."""
    return _SPELLING.get()(name)


@contextmanager
def spelling(spell: Callable[[str], str]) -> Iterator[None]:
    """Spell arguments in messages with ``spell`` while the body runs."""
    token = _SPELLING.set(spell)
    try:
        yield
    finally:
        _SPELLING.reset(token)


def no_such(what: str, name: object, known: Iterable[str]) -> UserError:
    """Return the error about an unknown name; ``what`` begins its sentence, as in "the run has no benchmark"."""
    names = list(known)
    there = listing(names, len(names), 20) or "none"
    return UserError(f"{what} {str(name)!r}; known: {there}.{nearest(str(name), names)}")


def nearest(value: str, known: Iterable[str]) -> str:
    """Return a question with the known name nearest to ``value``, as the tail of an error message.

    If no name is near, it lists up to six that contain ``value``; if there are none, it is empty.
    """
    known = list(known)
    inside = [name for name in known if value.casefold() in name.casefold()] if len(value) > 2 else []
    match = difflib.get_close_matches(value, known, n=1, cutoff=0.8 if inside[1:] else 0.5) or inside
    return f" Did you mean {' or '.join(map(repr, match[:6]))}?" if match else ""
