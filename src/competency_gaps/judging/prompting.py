"""Judge prompts: text files with places for what is judged."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from competency_gaps.errors import UserError

_PLACE = re.compile(r"\{([a-z_]+)\}")
_RULE = re.compile(r"^---[ \t]*\n", re.MULTILINE)


class Prompt(NamedTuple):
    """What a judge is told and asked."""

    system: str
    user: str


@lru_cache(maxsize=64)
def load_prompt(name: str, path: Path | None, needed: tuple[str, ...]) -> Prompt:
    """A judge prompt: ours by its name, or a file of the user's own.

    What stands before the first line of ``---`` is the system message, the rest the user's; without such a line all of
    it is the user's.

    Parameters
    ----------
    needed
        Places that the file must have, such as ``response`` for ``{response}``.

    Raises
    ------
    UserError
        If the file cannot be read, or lacks a place.
    """
    if path is None:
        text = files("competency_gaps.judging").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the judge prompt {str(path)!r} cannot be read: {error}. Give a UTF-8 file.") from error
    system, rule, user = _partition(text)
    missing = [place for place in needed if f"{{{place}}}" not in (user if rule else text)]
    if missing:
        raise UserError(
            f"the judge prompt {str(path or name)!r} has no {', '.join(f'{{{place}}}' for place in missing)}: "
            "the judge would not see what it judges. Add the place to the user's part."
        )
    return Prompt(system.strip(), user.strip())


def _partition(text: str) -> tuple[str, bool, str]:
    parts = _RULE.split(text, maxsplit=1)
    return (parts[0], True, parts[1]) if len(parts) == 2 else ("", False, text)


def fill(prompt: Prompt, values: Mapping[str, str]) -> Prompt:
    """Put texts into their places, all at once: a place that stands in a text itself is left as it is.

    ``{mark}`` becomes ten letters of the texts' hash. Tags that hold it cannot be closed by a text inside them, as no
    text knows it beforehand [ours].
    """
    digest = hashlib.sha256("\x00".join(values.values()).encode("utf-8", "replace")).hexdigest()
    known = {**values, "mark": digest[:10]}

    def put(text: str) -> str:
        return _PLACE.sub(lambda place: known.get(place[1], place[0]), text)

    return Prompt(put(prompt.system), put(prompt.user))
