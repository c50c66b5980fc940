"""A sample of every_eval_ever: what was asked in its line, and the item that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.harnesses.shared.files import mapping, sequence, text_or_none
from competency_gaps.harnesses.shared.prompt import LoggedPrompt, chat_messages, read_prompt
from competency_gaps.items.item import Item
from competency_gaps.items.remark import Remark

RAW = "input.raw, at its last place in input.formatted"


def result_of(row: Mapping[str, Any]) -> str:
    """The result that a line belongs to: its id, which some tools leave out, else the evaluation's name."""
    return str(row.get("evaluation_result_id") or row.get("evaluation_name"))


def asked_in(row: Mapping[str, Any], result: str) -> LoggedPrompt | Remark:
    """What the model was asked, or why the line becomes no item."""
    if not isinstance(row.get("evaluation_name"), str) or row.get("sample_id") in (None, ""):
        return Remark("sample_no_id")
    if result_of(row) != result:
        return Remark("other_result", quotes=(result_of(row),))
    given = mapping(row.get("input"))
    raw = text_or_none(given.get("raw")) or ""
    asked = _conversation(row, raw) if row.get("interaction_type") in ("multi_turn", "agentic") else None
    asked = asked or read_prompt(text_or_none(given.get("formatted")) or raw, raw, RAW)
    return asked or Remark("no_prompt")


def _conversation(row: Mapping[str, Any], raw: str) -> LoggedPrompt | None:
    """The user's messages as one, after those of the system; the model's and its tools' are answers, not the item."""
    messages = [message for message in sequence(row.get("messages")) if mapping(message).get("content")]
    turns = chat_messages([message for message in messages if message.get("role") in ("system", "user")]) or ()
    users = [message["content"] for message in turns if message["role"] == "user"]
    if not users:
        return None
    system = [message for message in turns if message["role"] == "system"]
    asked = [*system, {"role": "user", "content": "\n\n".join(users)}]
    return read_prompt(asked, raw if len(users) == 1 else "", RAW)


def item_of(
    row: Mapping[str, Any],
    asked: LoggedPrompt,
    score: float | None,
    metric: str,
    epochs: int,
    further: Mapping[str, Any],
) -> Item:
    """The item of a sample.

    Parameters
    ----------
    row
        Its first line under the metric.
    score
        Mean over its ``epochs`` lines; None = unscored.
    further
        Mapped fields.
    """
    given = mapping(row.get("input"))
    choices = tuple(choice for choice in sequence(given.get("choices")) if isinstance(choice, str))
    references = [text for text in sequence(given.get("reference")) if isinstance(text, str)]
    answer: Any = references[0] if len(references) == 1 else references or None
    if len(choices) > 1 and answer in choices:
        answer = choices.index(answer)
    fields = {
        "choices": choices if len(choices) > 1 else None,
        "answer": answer,
        "score": score,
        "response": _response(row),
        "epochs": epochs,
        "identity": {
            "tool": "every_eval_ever",
            "doc_id": str(row["sample_id"]),
            "metric": metric,
            "epochs": epochs,
            "sample_hash": row.get("sample_hash"),
        },
    }
    return asked.item(str(row["sample_id"]), **{**fields, **further})


def _response(row: Mapping[str, Any]) -> str | None:
    """The first output, or the last message of the assistant."""
    if row.get("interaction_type") in ("multi_turn", "agentic"):
        messages = map(mapping, sequence(row.get("messages")))
        answers = [message.get("content") for message in messages if message.get("role") == "assistant"]
        return next((answer for answer in reversed(answers) if isinstance(answer, str) and answer), None)
    return next((text for text in sequence(mapping(row.get("output")).get("raw")) if isinstance(text, str)), None)
