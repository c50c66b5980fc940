"""The key of an endpoint: from the environment only, and never shown."""

from __future__ import annotations

import os
import re

from competency_gaps.errors import UserError

PLACEHOLDER = "no-key"
"""Sent where no key is set; servers that need none take any."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SHOWN = "[API key]"
_LONG = 8
"""Shorter keys are placeholders such as ``EMPTY``, whose letters may well stand in an answer [ours]."""


class Key:
    """A key that neither ``repr`` nor ``str`` shows; a caller must ask for its value."""

    __slots__ = ("_value", "is_set")

    def __init__(self, value: str | None) -> None:
        self._value = value
        self.is_set = value is not None

    def __repr__(self) -> str:
        return "Key(hidden)"

    def value(self) -> str:
        """The key itself, to be sent and nothing else."""
        return self._value or PLACEHOLDER

    def hide(self, text: str, *, short: bool = False) -> str:
        """Write ``[API key]`` wherever the key stands in a foreign text; short keys only if ``short``."""
        if self._value is None or (len(self._value) < _LONG and not short):
            return text
        return text.replace(self._value, _SHOWN)


def check_variable(name: str) -> None:
    """Refuse what cannot be the name of an environment variable, without showing it: it may be a key.

    Raises
    ------
    UserError
        If it is not made of capital letters, digits and ``_``.
    """
    if not _VARIABLE.fullmatch(name):
        raise UserError(
            "key_env names no environment variable (its value is not shown, as it may be a key): expected capital "
            "letters, digits and '_', such as OPENAI_API_KEY. Put the key into a variable and name that."
        )


def read_key(variable: str) -> Key:
    """Read a key from the environment; unset or blank means that there is none.

    Raises
    ------
    UserError
        If it holds characters that no HTTP header can carry; the message does not show it.
    """
    value = os.environ.get(variable, "").strip()
    if not all("!" <= letter <= "~" for letter in value):
        raise UserError(
            f"the environment variable {variable} holds blanks, line breaks or letters outside ASCII (it is not "
            f"shown): expected one key. Set it again."
        )
    return Key(value or None)
