"""The prompt of a document in an lm-eval log, and the document's own text in it.

Ways to find the own text, of which the first that works is used:

1. The task's template (``doc_to_text`` of the results file) rendered from the document, at its last occurrence.
2. The range from the first to the last of the document's texts in the prompt, after the last example.
3. Without examples and without a chat template, all but the task's description.
4. With examples and without a chat template, all after the last delimiter of examples.
5. All of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from competency_gaps.harnesses.lm_eval.log_files import Task
from competency_gaps.harnesses.lm_eval.template import render
from competency_gaps.harnesses.shared.own_text import (
    SHORTEST,
    Found,
    begins_itself,
    from_first_to_last,
    last_occurrence,
    trimmed,
    whole,
)
from competency_gaps.items.item import Message, Text
from competency_gaps.items.remark import Remark

TEMPLATE = "the task's template, rendered"
FIELDS = "the document's texts in the prompt"
REST = "all but the task's description"
LAST = "what stands behind the last example"


class LoggedPrompt(NamedTuple):
    """A document's prompt, and the document's own text in it."""

    own: str
    seen: Text | None
    messages: tuple[Message, ...] | None
    range: tuple[int, int] | None
    """Range of ``own`` in the last user message."""
    way: str
    arguments: list[list[Any]]
    warnings: tuple[str, ...]
    """Codes of warnings."""


def logged_prompt(record: dict[str, Any], task: Task) -> LoggedPrompt | Remark:
    """A record's prompt and own text, or the reason why they cannot be read."""
    arguments = _arguments(record.get("arguments"))
    prompts = [argument[0] for argument in arguments if argument and argument[0]]
    if not prompts:
        if arguments and any(len(argument) > 1 and isinstance(argument[1], str) for argument in arguments):
            return Remark("context_empty")
        return Remark("no_prompt")
    warnings = []
    if any(prompt != prompts[0] for prompt in prompts):
        warnings.append("prompts_of_options")
    if any(
        isinstance(extra, dict) and {"visual", "audio"} & set(extra) for argument in arguments for extra in argument
    ):
        warnings.append("not_only_text")
    chat = _messages(prompts[0])
    doc = record.get("doc")
    doc = doc if isinstance(doc, dict) else {}
    if chat is None:
        if not isinstance(prompts[0], str):
            return Remark("prompt_no_text")
        position = own_text(prompts[0], doc, record.get("target"), task)
        if position is None:
            return Remark("prompt_empty")
        text = Text(prompts[0], (position.start, position.end), templated=begins_itself(prompts[0], task.bos))
        own = prompts[0][position.start : position.end]
        return LoggedPrompt(own, text, None, None, position.way, arguments, tuple(warnings))
    last = max((i for i, message in enumerate(chat) if message["role"] == "user"), default=None)
    if last is None or not chat[last]["content"].strip():
        return Remark("no_user_text")
    if len(chat) > last + 1:
        warnings.append("begun_answer")
    warnings.append("chat_rendered")
    content = chat[last]["content"]
    position = own_text(content, doc, record.get("target"), task)
    if position is None:
        return Remark("prompt_empty")
    place = (position.start, position.end)
    return LoggedPrompt(content[slice(*place)], None, chat[: last + 1], place, position.way, arguments, tuple(warnings))


def own_text(prompt: str, doc: dict[str, Any], target: Any, task: Task) -> Found | None:
    """The document's own text in a prompt, by the first way that finds it; None if the prompt is blank."""
    question = _rendered(task.config.get("doc_to_text"), doc)
    if question is not None and not question.strip().isdecimal():
        position = last_occurrence(prompt, question, TEMPLATE, closes=True)
        if position is not None:
            return position
    before = f"{task.system or ''}{_rendered(task.config.get('description'), doc) or ''}"
    texts = [text for text in _texts(doc) if len(text.strip()) >= SHORTEST and text != target]
    # A question is a field of its own, options are in lists; only a question tells where the item begins.
    alone = [text for text in texts if text in doc.values()]
    ranked = sorted(alone, key=len, reverse=True) + sorted(texts, key=len, reverse=True)
    anchor = next((position for text in ranked if (position := last_occurrence(prompt, text, FIELDS))), None)
    if anchor is not None:
        start = _after_examples(prompt, anchor.start, task, texts)
        if prompt.startswith(before) and anchor.start >= len(before):
            start = max(start, len(before))
        return from_first_to_last(prompt, texts, FIELDS, start=start) or anchor
    if task.shots and task.chat_template is False:
        delimiter = _delimiter(task)
        at = prompt.rstrip().rfind(delimiter) if delimiter else -1
        if at >= 0:
            return trimmed(prompt, at + len(delimiter or ""), len(prompt), LAST)
    if task.shots == 0 and task.chat_template is False and prompt.startswith(before):
        return trimmed(prompt, len(before), len(prompt), REST if before else "all of a prompt without examples")
    return whole(prompt)


def _after_examples(prompt: str, anchor: int, task: Task, texts: Sequence[str]) -> int:
    """The earliest start of the item's part of the prompt.

    That is after the last delimiter before its longest text, or after an earlier delimiter if the block in between
    holds one of its texts that does not occur later: a passage before the question.
    """
    if task.shots == 0:
        return 0
    delimiter = _delimiter(task)
    if delimiter is None:
        return anchor
    at = prompt.rfind(delimiter, 0, anchor)
    start = 0 if at < 0 else at + len(delimiter)
    while at >= 0:
        at = prompt.rfind(delimiter, 0, at)
        begins = 0 if at < 0 else at + len(delimiter)
        block = prompt[begins:start]
        if not any(text.strip() in block and text.strip() not in prompt[start:] for text in texts):
            break
        start = begins
    return start


def _delimiter(task: Task) -> str | None:
    """The delimiter of examples; None if it is no text or only spaces."""
    delimiter = task.config.get("fewshot_delimiter", "\n\n")
    return delimiter if isinstance(delimiter, str) and delimiter.strip(" ") else None


def _rendered(template: Any, doc: dict[str, Any]) -> str | None:
    if not isinstance(template, str) or not template:
        return None
    if template in doc:
        return doc[template] if isinstance(doc[template], str) else None
    return render(template, doc)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Texts in a document, also those in lists and mappings."""
    if isinstance(value, str):
        yield value
    elif depth < 4:
        inner: Sequence[Any] = (
            list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        )
        for part in inner:
            yield from _texts(part, depth + 1)


def _arguments(value: Any) -> list[list[Any]]:
    """Arguments per request: ``{"gen_args_0": {"arg_0": ..., "arg_1": ...}}``, in older logs a list of lists."""
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value, key=_number)]
    if not isinstance(value, list):
        return []
    return [
        [request[key] for key in sorted(request, key=_number)] if isinstance(request, dict) else request
        for request in value
        if isinstance(request, (dict, list))
    ]


def _number(key: str) -> int:
    digits = key.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0


def _messages(prompt: Any) -> tuple[Message, ...] | None:
    """Chat messages of an API model (``["<JSON>"]``); None if the prompt is none."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        try:
            prompt = json.loads(prompt[0])
        except ValueError:
            return None
    if not isinstance(prompt, list) or not prompt or not all(isinstance(message, dict) for message in prompt):
        return None
    messages = []
    for message in prompt:
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        if not isinstance(message.get("role"), str) or not isinstance(content, str):
            return None
        messages.append({"role": message["role"], "content": content})
    return tuple(messages)
