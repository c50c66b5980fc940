"""Chat messages as tools write them, and the own text in what was asked."""

from __future__ import annotations

from typing import Any, NamedTuple

from competency_gaps.harnesses.shared.own_text import begins_itself, last_occurrence, whole
from competency_gaps.items.item import Message, Text

ROLES = ("system", "user", "assistant")
MESSAGE = "the last user message"
_NAMES = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}
"""OpenCompass' names of roles."""


class Prompted(NamedTuple):
    """What a tool asked, as the fields of an item."""

    prompt: str
    messages: tuple[Message, ...] | None
    own: tuple[int, int] | None
    seen: Text | None
    way: str
    """How the own text was found."""


def prompted(asked: Any, own: str, way: str) -> Prompted | None:
    """The fields of an item of what was asked: a text (also as the only one of a list), or chat messages.

    Parameters
    ----------
    own
        The item's own text; where it does not stand in the prompt, all of that (or of the last user message) is.
    way
        What is said of items where it does.

    Returns
    -------
    Prompted or None
        Null if nothing was asked, or not in one of these forms.
    """
    messages = chat_messages(asked)
    if isinstance(asked, (list, tuple)) and len(asked) == 1:
        asked = asked[0]
    text = messages[-1]["content"] if messages else asked if isinstance(asked, str) else ""
    span = last_occurrence(text, own, way)
    if span is None:
        span = whole(text)
        if span is None:
            return None
        span = span._replace(way=MESSAGE) if messages else span
    place = (span.start, span.end)
    if messages:
        return Prompted(text[slice(*place)], messages, place, None, span.way)
    seen = Text(text, place, templated=begins_itself(text, None))
    return Prompted(text[slice(*place)], None, None, seen, span.way)


def chat_messages(value: Any) -> tuple[Message, ...] | None:
    """Messages up to the last one of a user; None if the value is no list of messages, or no user speaks."""
    if not isinstance(value, (list, tuple)):
        return None
    messages: list[Message] = []
    for message in value:
        if not isinstance(message, dict):
            return None
        role, content = message.get("role"), content_text(message.get("content", message.get("prompt")))
        if not isinstance(role, str) or content is None:
            return None
        messages.append({"role": _NAMES.get(role, role), "content": content})
    last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)
    return None if last is None or not messages[last]["content"].strip() else tuple(messages[: last + 1])


def content_text(content: Any) -> str | None:
    """A message's content as one text, its parts a line each; None if it holds anything else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None
