"""Read a document in an lm-eval log: its prompt, its body in the prompt, its options, and what the model answered.

Methods to locate the body, of which the first that works is used:

1. The task's template (``doc_to_text`` of the results file) rendered from the document, at its last occurrence.
2. The range from the first to the last of the document's texts in the prompt, after the last example.
3. Without examples and without a chat template, all but the task's description.
4. With examples and without a chat template, all after the last delimiter of examples.
5. All of it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from competency_gaps.items.item import Message, Reason
from competency_gaps.logs.prompt import (
    MIN_LENGTH,
    NO_PROMPT,
    Body,
    LoggedPrompt,
    chat_messages,
    chat_prompt,
    from_first_to_last,
    last_occurrence,
    last_user,
    text_prompt,
    trimmed,
    whole,
)
from competency_gaps.util.jsonl import float_or_none, mapping, text_or_none

NOTES = {
    "prompts_of_options": "each option has its own prompt; the first one's counts as what the model read",
    "not_only_text": "items come with images or sounds, which are not read",
    "begun_answer": "the beginning of the answer, which the log prefilled for the model, is left out",
    "chat_rendered": "the log has chat messages, rendered with the model's own chat template",
}
"""The text of a warning about documents, by code."""
TEMPLATE = "the task's template, rendered"
FIELDS = "the document's texts in the prompt"
REST = "all but the task's description"
LAST = "all after the last example"
_DIGITS = 19
"""Numbers with this many digits or more are not indices; Python refuses to read some thousands of digits."""
_PARTS = """
Add And Assign Call Compare CondExpr Const Dict Filter Getattr Getitem If List Name Neg Not Operand Or Output Pair Slice
Sub TemplateData Test
"""
"""Nodes of jinja2 that a template may have: no loop, product, format or macro."""
_METHODS = {"capitalize", "lower", "lstrip", "rstrip", "split", "strip", "title", "upper"}
_FILTERS = {"capitalize", "default", "first", "join", "last", "length", "lower", "replace", "title", "trim", "upper"}
_MAX_ARGUMENT_LENGTH = 12
"""Most characters of an argument of a method or filter."""
_MAX_NAMES = 20
"""Most names of fields and variables in a template; lm-evaluation-harness has up to 11."""


@dataclass(frozen=True)
class LoggedTask:
    """A task according to the results file; everything but the name is empty without one."""

    name: str
    results: Path | None = None
    model: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """The task's configuration, with functions as their source text."""
    higher_is_better: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    """lm-eval's own aggregates, by ``METRIC,FILTER``."""
    shots: int | None = None
    """Few-shot examples before each item; None: unknown."""
    bos: str | None = None
    """The token that starts an input; None if there is none or it is unknown."""
    chat_template: bool | None = None
    """Whether a chat template rendered the prompts; None: unknown."""
    system: str | None = None
    notes: tuple[Reason, ...] = ()


class LoggedOptions(NamedTuple):
    """The options of a multiple-choice document."""

    texts: tuple[str, ...] | None
    """The options; None if all have the same continuation (and each has another prompt)."""
    continuations: tuple[str, ...]
    """The options as they follow the prompt."""
    bare: tuple[str, ...]
    """The continuations without the delimiter."""


def read_document(record: dict[str, Any], task: LoggedTask) -> tuple[LoggedPrompt, list[list[Any]], list[str]] | Reason:
    """Return a record's prompt with its body, its arguments, and codes of warnings; or why it cannot be read."""
    arguments = _requests(record.get("arguments"))
    prompts = [argument[0] for argument in arguments if argument and argument[0]]
    if not prompts:
        if arguments and any(len(argument) > 1 and isinstance(argument[1], str) for argument in arguments):
            return Reason("context_empty", "the context is empty: the options are the texts; give the log as a table")
        return NO_PROMPT
    warnings = []
    if any(prompt != prompts[0] for prompt in prompts):
        warnings.append("prompts_of_options")
    if any(
        isinstance(extra, dict) and {"visual", "audio"} & set(extra) for argument in arguments for extra in argument
    ):
        warnings.append("not_only_text")
    chat = _messages(prompts[0])
    if chat is None:
        if not isinstance(prompts[0], str):
            return Reason("prompt_no_text", "the prompt is not a text")
        body = body_text(prompts[0], mapping(record.get("doc")), record.get("target"), task)
        asked = text_prompt(prompts[0], body, task.bos) if body else None
    else:
        last = last_user(chat)
        if last is None or not chat[last]["content"].strip():
            return Reason("no_user_text", "the chat messages have no user text")
        if len(chat) > last + 1:
            warnings.append("begun_answer")
        warnings.append("chat_rendered")
        body = body_text(chat[last]["content"], mapping(record.get("doc")), record.get("target"), task)
        asked = chat_prompt(chat[: last + 1], body) if body else None
    return Reason("prompt_empty", "the prompt is empty") if asked is None else (asked, arguments, warnings)


def body_text(prompt: str, doc: dict[str, Any], target: Any, task: LoggedTask) -> Body | None:
    """Return where the document's own text stands in a prompt, by the first method that works; None if it is blank."""
    question = _rendered(task.config.get("doc_to_text"), doc)
    if question is not None and not question.strip().isdecimal():
        position = last_occurrence(prompt, question, TEMPLATE, closes=True)
        if position is not None:
            return position
    before = f"{task.system or ''}{_rendered(task.config.get('description'), doc) or ''}"
    texts = [text for text in _texts(doc) if len(text.strip()) >= MIN_LENGTH and text != target]
    # A question is a field of its own, options are in lists; only a question shows where the item begins.
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


def _after_examples(prompt: str, anchor: int, task: LoggedTask, texts: Sequence[str]) -> int:
    """Return the earliest position at which the item's part of the prompt may start.

    That is after the last delimiter before its longest text, or after an earlier delimiter if the block in between
    contains one of its texts that does not occur later: a passage before the question.
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


def _delimiter(task: LoggedTask) -> str | None:
    """Return the delimiter of examples, or None if it is no text or only spaces."""
    delimiter = task.config.get("fewshot_delimiter", "\n\n")
    return delimiter if isinstance(delimiter, str) and delimiter.strip(" ") else None


def _rendered(template: Any, doc: dict[str, Any]) -> str | None:
    """Return a template as lm-evaluation-harness renders it; None if there is none, or it fails on this document."""
    if not isinstance(template, str) or not template:
        return None
    if template in doc:
        return text_or_none(doc[template])
    compiled = _compiled(template)
    try:
        return None if compiled is None else str(compiled.render(doc))
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in a document, also those in lists and mappings."""
    if isinstance(value, str):
        yield value
    elif depth < 4:
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _texts(part, depth + 1)


def _requests(value: Any) -> list[list[Any]]:
    """Return the arguments of each request: ``{"gen_args_0": {"arg_0": ..., "arg_1": ...}}`` or a list of lists."""
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
    """Return the number at the end of a key such as ``arg_1``; 0 if there is none."""
    digits = key.rpartition("_")[2]
    return int(digits) if digits.isdecimal() and len(digits) < _DIGITS else 0


def _messages(prompt: Any) -> tuple[Message, ...] | None:
    """Return the chat messages of an API model (``["<JSON>"]``), or None if the prompt has another form."""
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        try:
            prompt = json.loads(prompt[0])
        except ValueError:
            return None
    return chat_messages(prompt)


def options_of(arguments: Sequence[Sequence[Any]], task: LoggedTask) -> LoggedOptions | None:
    """Return the options of a document, or None if it is no multiple choice.

    Arguments without a prompt (the unconditional ones of ``acc_mutual_info``) are not options.
    """
    pairs = [argument for argument in arguments if len(argument) > 1 and isinstance(argument[1], str)]
    texts = [str(argument[1]) for argument in pairs if argument[0]]
    if len(texts) < 2:
        return None
    delimiter = task.config.get("target_delimiter", " ")
    bare = [text.removeprefix(delimiter) if isinstance(delimiter, str) else text for text in texts]
    differ = len(set(texts)) > 1
    return LoggedOptions(tuple(text.strip() for text in bare) if differ else None, tuple(texts), tuple(bare))


def answer_of(target: Any, options: LoggedOptions | None) -> Any:
    """Return the gold answer: the index of an option if the target names one, else the target itself."""
    if options is None or options.texts is None:
        return target
    text = str(target).strip()
    if text.isdecimal() and len(text) < _DIGITS and int(text) < len(options.texts):
        return int(text)
    return options.texts.index(text) if text in options.texts else target


def chosen(
    answers: list[Any], arguments: Sequence[Sequence[Any]], options: LoggedOptions | None, metric: str | None
) -> str | None:
    """Return what the model answered, before any filter; None if the log does not record it.

    Of options, it is the one with the highest log-likelihood, per character if ``acc_norm`` is the metric
    (lm-evaluation-harness, ``process_results``).
    """
    if not answers:
        return None
    if options is None:
        return _text(answers[0], arguments)
    likelihoods = [_likelihood(answer) for answer in answers]
    count = len(options.continuations)
    if len(likelihoods) < count or any(value is None for value in likelihoods):
        return None
    sizes = [max(1, len(text)) if metric == "acc_norm" else 1 for text in options.bare]
    best = max(range(count), key=lambda i: (likelihoods[i] or 0.0) / sizes[i])
    return options.continuations[best].strip() if options.texts is not None else None


def _text(answer: Any, arguments: Sequence[Sequence[Any]]) -> str | None:
    """Return a generated answer, or the only continuation if the model's greedy answer is equal to it; else None."""
    first = answer[0] if isinstance(answer, list) and answer else answer
    second = arguments[0][1] if len(arguments[0]) > 1 else None
    if isinstance(first, str):
        generated = isinstance(second, dict)
        return first if generated or float_or_none(first) is None else None
    if isinstance(first, list) and len(first) == 2 and str(first[1]) == "True" and isinstance(second, str):
        return second.strip()  # the only continuation is the model's greedy answer
    return None


def _likelihood(answer: Any) -> float | None:
    """Return the first number in an answer's nested lists, its log-likelihood; None if it is not a number."""
    while isinstance(answer, list) and answer:
        answer = answer[0]
    return float_or_none(answer)


@functools.lru_cache(maxsize=64)
def _compiled(template: str) -> Any:
    """Return the compiled template of a results file, which is untrusted; None if it is malformed or unbounded.

    The sandbox stops a template from running Python. What is allowed here renders to at most some hundred times the
    length of its document.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    try:
        return environment.from_string(template) if _is_bounded(environment.parse(template)) else None
    except (TemplateError, SyntaxError, ValueError, RecursionError):
        return None


def _is_bounded(tree: nodes.Template) -> bool:
    """Whether a template has only parts that lm-evaluation-harness's tasks use and that bound its output."""
    filters = [part.name for part in tree.find_all(nodes.Filter)]
    arguments = (
        argument
        for part in tree.find_all((nodes.Call, nodes.Filter, nodes.Test))
        for argument in part.iter_child_nodes(exclude=("node",))
    )
    return (
        {type(part).__name__ for part in tree.find_all(nodes.Node)} <= set(_PARTS.split())
        and len(list(tree.find_all(nodes.Name))) <= _MAX_NAMES
        # A text that is set as the sum of two others, again and again, doubles each time.
        and all(len(list(part.node.find_all(nodes.Name))) <= 1 for part in tree.find_all(nodes.Assign))
        and _FILTERS.issuperset(filters)
        and sum(name in ("join", "replace") for name in filters) <= 1
        and all(
            isinstance(call.node, nodes.Getattr) and call.node.attr in _METHODS for call in tree.find_all(nodes.Call)
        )
        and all(isinstance(part, nodes.Const) and len(str(part.value)) <= _MAX_ARGUMENT_LENGTH for part in arguments)
    )
