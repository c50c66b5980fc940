"""What judged policies share: how an item's question reads, a question to a judge, and a failure in words."""

from __future__ import annotations

from typing import Any

from competency_gaps.endpoint.request import Request
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark
from competency_gaps.judging.prompting import Prompt

THINKS_ON = Remark("thinks_on")
"""Why a response without an answer is not judged: thinking is no answer, and no judge sees it."""


def question_of(item: Item, own: str) -> str:
    """What the model was asked, as a judge reads it: the own text, or all messages with their roles.

    Parameters
    ----------
    own
        The item's own text as the policy prompts it.
    """
    messages = item.messages
    if messages is None or len(messages) == 1:
        return own if messages is None else messages[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)


def shown_response(response: str) -> str:
    """A response as a judge sees it: an empty one is said to be empty."""
    return response if response.strip() else "(The answer is empty.)"


def to_judge(id: str, prompt: Prompt, schema: dict[str, Any] | None, name: str, tokens: int) -> Request:
    """A request for a judge at temperature 0."""
    return Request(id, prompt.system, prompt.user, schema, name, tokens)
