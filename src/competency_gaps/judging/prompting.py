"""What judged policies share: prompts with places for what is judged, schemas, and how texts are shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.errors import UserError
from competency_gaps.items.item import Item, Reason
from competency_gaps.text import shorten, visible

_PLACE = re.compile(r"\{([a-z_]+)\}")
_RULE = re.compile(r"^---[ \t]*\n", re.MULTILINE)


REASONING = 500
"""Characters of a judge's reasoning that are kept with the item."""
THINKS_ON = Reason("thinks_on", "the response ends inside the model's thinking")
"""Why a response without an answer is not judged: thinking is not an answer, and no judge sees it."""


class Prompt(NamedTuple):
    """The system message and the user's message for a judge."""

    system: str
    user: str


@lru_cache(maxsize=64)
def load_prompt(name: str, path: Path | None, needed: tuple[str, ...]) -> Prompt:
    """Load a judge prompt: ours by its name, or a file of the user's own.

    What stands before the first line of ``---`` is the system message, the rest is the user's message; without such a
    line all of it is the user's message.

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
    head, *rest = _RULE.split(text, maxsplit=1)
    system, user = (head, rest[0]) if rest else ("", head)
    missing = [place for place in needed if f"{{{place}}}" not in user]
    if missing:
        raise UserError(
            f"the judge prompt {str(path or name)!r} has no {', '.join(f'{{{place}}}' for place in missing)}: "
            "the judge would not see what it judges. Add the place to the user's part."
        )
    return Prompt(system.strip(), user.strip())


def fill(prompt: Prompt, values: Mapping[str, str]) -> Prompt:
    """Put texts into their places, all at once: a place named inside such a text is left as it is.

    ``{mark}`` becomes ten letters of the texts' hash. Tags that hold it cannot be closed by a text inside them, as no
    text knows it beforehand [ours].
    """
    digest = hashlib.sha256("\x00".join(values.values()).encode("utf-8", "replace")).hexdigest()
    known = {**values, "mark": digest[:10]}

    def put(text: str) -> str:
        return _PLACE.sub(lambda place: known.get(place[1], place[0]), text)

    return Prompt(put(prompt.system), put(prompt.user))


def question_of(item: Item, own: str) -> str:
    """Write what the model was asked, as a judge reads it: the item's text, or all messages with their roles.

    Parameters
    ----------
    own
        The item's own text as the policy prompts it.
    """
    messages = item.messages
    if messages is None:
        return own
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def shown_response(response: str) -> str:
    """Show a response to a judge; an empty one is described as empty."""
    return response if response.strip() else "(The answer is empty.)"


def schema_of(properties: dict[str, Any], reasoning: bool) -> dict[str, Any]:
    """JSON schema of a judge's answer; the reasons come first, as models write properties in order."""
    fields = {"reasoning": {"type": "string"}, **properties} if reasoning else properties
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def shown_reasoning(text: str | None) -> str | None:
    """Make a judge's reasons harmless, and shorten them."""
    return None if text is None else shorten(visible(text), REASONING)


def rubric_text(rubric: str | None, file: Path | None, default: str) -> str:
    """The rubric from the option, its file, or the default.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    if file is None:
        return default if rubric is None else rubric.strip()
    return load_prompt("rubric", file, ()).user
