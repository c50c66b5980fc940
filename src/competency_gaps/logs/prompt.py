"""The prompt that a log records, as fields of an item, with the item's body located in it.

Readers try several methods to locate the body; the report counts the items of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from competency_gaps.items.item import Item, Message, Reason, Text

ROLES = ("system", "user", "assistant")
WHOLE = "whole prompt"
NO_PROMPT = Reason("no_prompt", "the record has no prompt")
MIN_LENGTH = 12
"""Shortest text, in characters, that may be located by search alone: shorter texts occur by chance."""
_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|<s>|<bos>|\[BOS\]|\[gMASK\]")
"""Matches the beginning of a text that brings its own first token."""
_TAIL = re.compile(
    r"(?:(?:<\|[^|<>\s]{1,40}\|>|<｜[^｜<>\s]{1,40}｜>|</?(?:s|think)>|<(?:start|end)_of_turn>"
    r"|\[/INST\])(?:assistant|model|Assistant)?\s*)+\Z"
)
"""Matches what a chat template appends to the last message: special tokens, and the role that answers."""
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of scripts that put no space between words."""


class Body(NamedTuple):
    """Where the item's body stands in a prompt."""

    start: int
    end: int
    """The body is the characters [start, end), without white space at either end."""
    method: str
    """How it was located, in words."""


class LoggedPrompt(NamedTuple):
    """What the model was asked, as the fields of an item."""

    prompt: str
    messages: tuple[Message, ...] | None
    body: tuple[int, int] | None
    seen: Text | None
    method: str
    """How the body was located, in words."""

    def item(self, id: str, **fields: Any) -> Item:
        """Return an item with this prompt, scored by the log."""
        prompt, messages, body, seen, _ = self
        return Item(id, prompt, messages, body, seen, scorer="imported", **fields)


def text_prompt(text: str, body: Body, bos: str | None = None) -> LoggedPrompt:
    """Return a prompt that is one text.

    If it starts with its own first token (``bos``; lm-evaluation-harness's rule), none is prepended. If the tokenizer's
    is unknown, any special token at the start counts.
    """
    span = (body.start, body.end)
    begins_itself = _SPECIAL.match(text) is not None if bos is None else text.startswith(bos)
    seen = Text(text, span, templated=begins_itself)
    return LoggedPrompt(text[slice(*span)], None, None, seen, body.method)


def chat_prompt(messages: tuple[Message, ...], body: Body) -> LoggedPrompt:
    """Return a prompt of chat messages, the last of which contains the body."""
    span = (body.start, body.end)
    return LoggedPrompt(messages[-1]["content"][slice(*span)], messages, span, None, body.method)


def read_prompt(asked: Any, text: str, method: str) -> LoggedPrompt | None:
    """Return a prompt that is a text (also as the only element of a list) or chat messages.

    Parameters
    ----------
    asked
        The prompt as the log has it.
    text
        The item's own text; if it does not occur, the whole prompt (or last user message) is the body.
    method
        Describes items in which it occurs.

    Returns
    -------
    LoggedPrompt or None
        None if the prompt is empty, or in another form.
    """
    messages = chat_messages(asked)
    last = last_user(messages) if messages else None
    if messages and last is not None:
        content = messages[last]["content"]
        span = last_occurrence(content, text, method) or whole(content, "the last user message")
        return chat_prompt(messages[: last + 1], span) if span else None
    if isinstance(asked, (list, tuple)) and len(asked) == 1:
        asked = asked[0]
    if not isinstance(asked, str):
        return None
    span = last_occurrence(asked, text, method) or whole(asked)
    return text_prompt(asked, span) if span else None


def chat_messages(value: Any) -> tuple[Message, ...] | None:
    """Return a list of chat messages with their contents as text; None if the value is not such a list."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    messages: list[Message] = []
    for message in value:
        if not isinstance(message, dict):
            return None
        role, content = message.get("role"), content_text(message.get("content"))
        if not isinstance(role, str) or content is None:
            return None
        messages.append({"role": role, "content": content})
    return tuple(messages)


def last_user(messages: Iterable[Message]) -> int | None:
    """Return the index of the last user message, or None if there is none."""
    return max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)


def content_text(content: Any) -> str | None:
    """Return a message's content as one text, one line per part; None if it holds anything but text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def last_occurrence(
    seen: str, body: str, method: str, *, before: int | None = None, closes: bool = False
) -> Body | None:
    """Return the last occurrence of a text in what the model read; None if it does not occur or is empty.

    Occurrences inside a word (``ant`` in ``assistant``) and in what a chat template appends to the last message do not
    count. A text of fewer than ``MIN_LENGTH`` characters must occur exactly once. [ours]

    Parameters
    ----------
    before
        The text ends at or before this character; None: anywhere.
    closes
        The text is expected at the end; a short text there may also occur elsewhere.
    """
    body = body.strip()
    if not body:
        return None
    tail = _tail(seen)
    end = tail if before is None else min(before, tail)
    places = _places(seen, body, end)
    last = next(places, None)
    if last is None:
        return None
    at_end = closes and not seen[last + len(body) : end].strip()
    if len(body) < MIN_LENGTH and not at_end and next(places, None) is not None:
        return None
    return Body(last, last + len(body), method)


def _tail(seen: str) -> int:
    """Return where the chat template's ending begins, or the text's length if there is none."""
    lead = max(0, len(seen) - 200)
    match = _TAIL.search(seen, lead)
    return match.start() if match else len(seen)


def _places(seen: str, body: str, end: int) -> Iterator[int]:
    """Yield the positions at which a text occurs as whole words, from last to first."""
    at = seen.rfind(body, 0, end)
    while at >= 0:
        if not _joined(seen, at) and not _joined(seen, at + len(body)):
            yield at
        at = seen.rfind(body, 0, at + len(body) - 1)


def _joined(seen: str, at: int) -> bool:
    """Whether the characters before and after a position belong to one word."""
    pair = seen[max(0, at - 1) : at + 1]
    return at > 0 and len(pair) == 2 and pair.isalnum() and _UNSPACED.search(pair) is None


def from_first_to_last(seen: str, parts: Iterable[str], method: str, *, start: int = 0) -> Body | None:
    """Return the range from the first to the last of several texts after ``start``; None if none occurs.

    Of a text that occurs several times, the first occurrence counts.
    """
    spans = [
        Body(at, at + len(text), method)
        for part in parts
        if (text := part.strip()) and (at := seen.find(text, start)) >= 0
    ]
    if not spans:
        return None
    return Body(min(span.start for span in spans), max(span.end for span in spans), method)


def trimmed(seen: str, start: int, end: int, method: str) -> Body | None:
    """Return a range without white space at its ends, or None if nothing is left."""
    text = seen[start:end]
    lead = len(text) - len(text.lstrip())
    size = len(text.strip())
    return Body(start + lead, start + lead + size, method) if size else None


def whole(seen: str, method: str = WHOLE) -> Body | None:
    """Return the range of all that the model read, without white space at its ends; None if it is blank."""
    return trimmed(seen, 0, len(seen), method)
