"""Which settings and which parts of the command line may leave the machine with an export or a chat."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from competency_gaps.config import RunConfig
from competency_gaps.config.load import Config

PRIVATE = ("judge.base_url", "judge.key_env")
"""Settings that go neither into an export nor to a chat's endpoint: where the judge is, and where its key."""
IDS = (
    *("model.name", "model.revision", "model.tokenizer"),
    *("sae.release", "sae.id", "sae.folder", "sae.hook_name"),
)
"""Settings that name the model and the SAE."""
_OPTIONS = ("--judge-base-url", "--judge-key-env", "--base-url", "--key-env")
_SET = re.compile(r"\s*judge(?:\.base_url|\.key_env)?\s*=")
_WORD = re.compile(r"\S*")
_PLAIN = re.compile(r"True|False|None|[-+]?(?:[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|inf|nan)")


def named(lines: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Settings that cannot quote a text: numbers, yes or no, words of closed lists, names of the model and the SAE.

    A setting that is none of ``RunConfig`` is left out, and so is one whose value may be any text: it may be put to the
    model, or name a place.

    Parameters
    ----------
    lines
        Dotted names and values, as :func:`~competency_gaps.presentation.facts.listing` gives them.
    """
    closed = _closed()
    return [
        (name, value)
        for name, value in lines
        if (name in closed and (_PLAIN.fullmatch(value) or value in closed[name]))
        or (name in IDS and _WORD.fullmatch(value))
    ]


def without_judge(command: str | Sequence[str]) -> str | list[str]:
    """A command without the options that say where the judge is and where its key.

    Parameters
    ----------
    command
        As a shell takes it, or its words.

    Returns
    -------
    str or list of str
        The same where it says nothing of them; empty where no shell would take it and it may.
    """
    if not isinstance(command, str):
        return _kept([str(word) for word in command])
    try:
        words = shlex.split(command)
    except ValueError:
        # A quote that is never closed.
        return "" if "judge" in command or "-url" in command or "key-env" in command else command
    kept = _kept(words)
    return command if kept == words else shlex.join(kept)


def _kept(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    place = 0
    while place < len(words):
        name, sign, value = words[place].partition("=")
        alone = not sign and name in (*_OPTIONS, "--set")
        given = value if sign else words[place + 1] if alone and place + 1 < len(words) else ""
        if not (name in _OPTIONS or (name == "--set" and _SET.match(given))):
            kept += words[place : place + 1 + alone]
        place += 1 + alone
    return kept


@functools.cache
def _closed() -> dict[str, frozenset[str]]:
    """Names of the settings that hold numbers, yes or no, or words of a closed list, each with these words."""
    return dict(_of(RunConfig, ""))


def _of(config: type[Config], prefix: str) -> list[tuple[str, frozenset[str]]]:
    options = []
    for key, field in config.model_fields.items():
        kinds = _kinds(field.annotation)
        parts = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config)]
        words = frozenset(str(word) for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
        plain = all(kind in (int, float, bool, NoneType) or get_origin(kind) is Literal for kind in kinds)
        for part in parts:
            options += _of(part, f"{prefix}{key}.")
        if plain or (parts and len(parts) + (NoneType in kinds) == len(kinds)):
            options.append((f"{prefix}{key}", words))
    return options


def _kinds(annotation: Any) -> list[Any]:
    """What an annotation allows, one by one."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for argument in get_args(annotation) for kind in _kinds(argument)]
    return [annotation]
