"""From a chat completion, which is foreign input, to an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from competency_gaps.endpoint.request import Answer, whole
from competency_gaps.text import shorten, visible

MAX_TEXT = 1_000_000
"""Characters of an answer that are kept [ours]; JSON cut here fails to parse as any cut-off answer does."""
_MAX_COUNT = 2**40
"""Token counts above are taken for nonsense."""


def read_completion(body: Any, *, id: str, key: str) -> Answer:
    """Read the body of a chat completion.

    An answer that came whole but holds nothing (null or empty content, as when the model spends all tokens on
    reasoning) is paid for: it becomes an answer with an empty text, no error.

    Parameters
    ----------
    body
        Parsed JSON, of any shape.
    id, key
        Of the request.

    Returns
    -------
    Answer
        With ``error`` if the body is no chat completion; token counts are kept also then.
    """
    fields = body if isinstance(body, Mapping) else {}
    usage = fields.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    model = fields.get("model")
    known: dict[str, Any] = {
        "id": id,
        "key": key,
        "prompt_tokens": _count(usage.get("prompt_tokens")),
        "completion_tokens": _count(usage.get("completion_tokens")),
        "model": visible(whole(model))[:200] if isinstance(model, str) else None,
    }
    choices = fields.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        reason = error_text(body) if "error" in fields else "it has no choices with a message"
        return Answer(text=None, refusal=None, error=f"the body is no chat completion: {reason}", **known)
    finish = choice.get("finish_reason")
    finish = visible(whole(finish))[:50] if isinstance(finish, str) else None
    text, refusal = _content(message.get("content")), message.get("refusal")
    if not isinstance(refusal, str) or not refusal:
        refusal = "content_filter" if finish == "content_filter" and not text else None
    return Answer(
        text=text or None if refusal else text or "",
        refusal=whole(refusal)[:MAX_TEXT] if refusal else None,
        error=None,
        finish=finish,
        **known,
    )


def error_text(body: Any) -> str:
    """What an error's body says, on one line and short; endpoints use several forms."""
    for _ in range(3):
        if isinstance(body, Mapping):
            body = next((body[name] for name in ("error", "message", "detail") if body.get(name)), None) or dict(body)
            if not isinstance(body, (Mapping, str)):
                break
    try:
        text = body if isinstance(body, str) else json.dumps(body)
    except RecursionError:
        text = "an object nested too deeply"
    return shorten(visible(whole(" ".join(text[:10_000].split()))), 300)


def read_json(text: str | bytes) -> Any:
    """Parse JSON of any origin.

    Raises
    ------
    ValueError
        If it is broken or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _content(content: Any) -> str | None:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    return whole(content[:MAX_TEXT]) if isinstance(content, str) else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_COUNT else None
