"""Chat messages as tools write them."""

from __future__ import annotations

from typing import Any

from competency_gaps.model.prompts import Message

_ROLES = {"HUMAN": "user", "BOT": "assistant", "SYSTEM": "system"}
"""OpenCompass' names of roles."""


def chat_messages(value: Any) -> tuple[Message, ...] | None:
    """Messages up to the last one of a user; null if the value is no list of messages, or no user speaks."""
    if not isinstance(value, (list, tuple)):
        return None
    messages: list[Message] = []
    for one in value:
        if not isinstance(one, dict):
            return None
        role, content = one.get("role"), one.get("content", one.get("prompt"))
        if not isinstance(role, str) or not isinstance(content, str):
            return None
        messages.append({"role": _ROLES.get(role, role), "content": content})
    last = max((i for i, one in enumerate(messages) if one["role"] == "user"), default=None)
    return None if last is None or not messages[last]["content"].strip() else tuple(messages[: last + 1])
