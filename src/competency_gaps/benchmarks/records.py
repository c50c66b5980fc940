"""Turn the records of any source into items; all checks of the input are here.

An explicit null (or an empty CSV cell) means that there is no answer or no score. NaN is an error, since it may be a
missing value as well as a failed computation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from competency_gaps.benchmarks.epochs import ItemCollector
from competency_gaps.benchmarks.rows import Record, Row, further_fields, parsed, parsed_texts
from competency_gaps.errors import UserError, nearest
from competency_gaps.items.benchmark import Benchmark
from competency_gaps.items.item import Item, LeftOut, Message, Reason, SourceReport, is_whole
from competency_gaps.items.options import gold_index, without_options

FIELDS = (
    "id",
    "epoch",
    "prompt",
    "messages",
    "choices",
    "labels",
    "answer",
    "group",
    "cluster",
    "covariates",
    "policy",
    "metric",
    "pair",
    "score",
    "response",
    "metadata",
)
"""Fields of a record. ``metric`` is another word for ``policy``, ``pair`` goes to ``metadata["pair"]``, ``labels`` are
the source's names of the options, ``epoch`` distinguishes the repeats of an item that was asked several times; the
others are fields of ``Item``."""

_TEXT_POLICIES = frozenset({"exact", "contains"})


def gather(
    entries: Iterable[Record | Item | LeftOut | SourceReport],
    name: str,
    *,
    source: str,
    fields: Mapping[str, str],
    policy: str | None,
) -> Benchmark:
    """Make a benchmark of everything that a source yields, in its order.

    Parameters
    ----------
    name
        The benchmark's name.
    source
        The source in words, for messages.
    fields
        Our field -> the source's column. Dots reach inside (``answers.text``, also through lists), several
        columns with commas make a list (``option1, option2``), ``metadata.KEY`` and ``covariates.KEY`` fill these.
    policy
        The benchmark's policy; None: each record's own.

    Returns
    -------
    Benchmark
        Every item's ``policy`` is the policy that scores it: the benchmark's, else the record's own.

    Raises
    ------
    UserError
        If a record is wrong, two items have one id, or there is no item at all.
    """
    check_fields(fields)
    collector = ItemCollector()
    left_out: list[LeftOut] = []
    reports: list[SourceReport] = []
    for index, entry in enumerate(entries):
        where, epoch = f"{source}, item {index + 1}", None
        match entry:
            case LeftOut():
                left_out.append(entry)
                continue
            case SourceReport():
                reports.append(entry)
                continue
            case Item():
                item = check_item(replace(entry, policy=policy or entry.policy), where)
            case Record():
                where, epoch = entry.where, Row(entry, fields).text("epoch")
                item = make_item(entry, index, fields, policy)
            case _:
                raise UserError(f"{where}: expected an Item, found {type(entry).__name__}.")
        if is_whole(item):
            collector.add(item, epoch, where)
        else:
            left_out.append(
                LeftOut(
                    where,
                    Reason(
                        "half_character", "it holds half of a character (a lone surrogate), which no program can encode"
                    ),
                )
            )
    items = collector.items()
    if not items:
        why = f"all records were left out, the first because {left_out[0].reason}" if left_out else "it is empty"
        raise UserError(f"{source} has no items: {why}.")
    return Benchmark(name, tuple(items), tuple(left_out), tuple(reports))


def check_fields(fields: Mapping[str, str]) -> None:
    """Refuse a field mapping that fills a field which items do not have.

    Raises
    ------
    UserError
        With the nearest known field.
    """
    for ours in fields:
        if ours not in FIELDS and not ours.startswith(("metadata.", "pair.", "covariates.")):
            known = ", ".join(FIELDS)
            raise UserError(f"fields: {ours!r} is not a field of an item; known are {known}.{nearest(ours, FIELDS)}")


def make_item(record: Record, index: int, fields: Mapping[str, str], policy: str | None) -> Item:
    """Check one record and make its item.

    Parameters
    ----------
    index
        Position in the source; the id where the record has none.
    policy
        The benchmark's policy, which decides before the record's own how the answer is read.

    Raises
    ------
    UserError
        If a field is missing or its value is not allowed.
    """
    row = Row(record, fields)
    prompt, messages, closing = _prompt(row)
    choices = row.texts("choices")
    named = row.text("policy") or row.text("metric")
    if named is None:
        named = "imported" if row.has("score") else "choice" if choices else None
    answer = row.get("answer")
    if record.untyped:
        answer = parsed_texts(answer)
    if choices:
        try:
            prompt = without_options(prompt, choices)
            answer = _answer(answer, choices, row, policy or named)
        except ValueError as error:
            raise row.error(f"{error}.") from error
    if messages is not None:
        messages = (*messages[:-1], {"role": "user", "content": prompt})
    item = Item(
        id=row.text("id") or str(index),
        prompt=prompt,
        messages=messages,
        choices=tuple(choices) if choices else None,
        answer=answer,
        policy=policy or named,
        score=row.get("score"),
        response=_response(row, closing),
        metadata=_metadata(row),
        **further_fields(row),
    )
    return check_item(item, record.where)


def check_item(item: Item, where: str) -> Item:
    """Check what must hold of every item, whatever its source, and return it with the score as a float.

    Raises
    ------
    UserError
        If the prompt is empty, the score is not a number in [0, 1], or the gold index of a ``choice`` item is
        out of range.
    """
    if not item.prompt.strip():
        raise UserError(f"{where}: the prompt is empty. Give each item a text, or remove the record.")
    if item.choices is not None and len(item.choices) < 2:
        raise UserError(f"{where}: {len(item.choices)} option in 'choices', expected at least two.")
    if item.policy == "choice" and item.choices and item.answer is not None:
        if isinstance(item.answer, bool) or not isinstance(item.answer, int):
            raise UserError(f"{where}: the answer is {item.answer!r}, expected the 0-based index of an option.")
        try:
            gold_index(item.answer, item.choices)
        except ValueError as error:
            raise UserError(f"{where}: {error}.") from error
    return replace(item, score=_score(item.score, where))


def _prompt(row: Row) -> tuple[str, tuple[Message, ...] | None, str | None]:
    """The prompt, the messages up to the last user message, and the assistant's message after it."""
    raw = row.get("messages")
    prompt = row.get("prompt")
    if raw is None or raw == "":
        if not row.has("prompt"):
            known = list(row.record.values)
            raise row.error(
                f"there is no 'prompt'. The columns are {', '.join(known)}.{nearest('prompt', known)} "
                "Map the right one, e.g. fields: {prompt: question}."
            )
        if prompt is not None and not isinstance(prompt, str):
            raise row.error(f"the prompt is {prompt!r}, expected a text.")
        return prompt or "", None, None
    messages = _messages(row, raw)
    last = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)
    if last is None:
        raise row.error("'messages' has no message with the role 'user'.")
    after = messages[last + 1 :]
    if len(after) > 1 or any(message["role"] != "assistant" for message in after):
        raise row.error("after the last user message, 'messages' may hold one assistant message and nothing else.")
    own = messages[last]["content"]
    if prompt and prompt != own:
        raise row.error("'prompt' differs from the last user message in 'messages'. Leave one of them out.")
    return own, tuple(messages[: last + 1]), after[0]["content"] if after else None


def _messages(row: Row, raw: Any) -> list[Message]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except json.JSONDecodeError as error:
            raise row.error(f"'messages' is text that is not valid JSON: {error}.") from error
    if not isinstance(raw, (list, tuple)):
        raise row.error(f"'messages' is {raw!r}, expected a list of {{role, content}}.")
    for message in raw:
        fine = isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))
        if not fine:
            raise row.error(f"the message {message!r} is not of the form {{role: text, content: text}}.")
    return [{"role": message["role"], "content": message["content"]} for message in raw]


def _answer(answer: Any, choices: Sequence[str], row: Row, policy: str | None) -> Any:
    """The gold as the policy expects it: an index for choices, the option's text for policies on texts."""
    number = isinstance(answer, int) and not isinstance(answer, bool)
    if answer is None or (policy not in (None, "bbq", "choice", "pair") and not (policy in _TEXT_POLICIES and number)):
        return answer
    index = gold_index(answer, choices, labels=row.texts("labels"), untyped=row.record.untyped)
    return choices[index] if policy in _TEXT_POLICIES else index


def _response(row: Row, closing: str | None) -> str | None:
    value = row.get("response")
    if value is not None and not isinstance(value, str):
        raise row.error(f"the response is {value!r}, expected a text.")
    if value is not None and closing is not None and value != closing:
        raise row.error("'response' differs from the assistant's last message in 'messages'. Leave one of them out.")
    return value if value is not None else closing


def _score(value: Any, where: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: the score {value!r} is not a number. Give a number in [0, 1], or null.") from error
    if math.isnan(number):
        raise UserError(f"{where}: the score is NaN. Write null for an unscored item.")
    if not 0 <= number <= 1:
        raise UserError(f"{where}: the score {number:g} is outside [0, 1]. Rescale the scores first.")
    return number


def _metadata(row: Row) -> dict[str, Any]:
    metadata, pair = row.mapping("metadata"), row.get("pair")
    if row.record.untyped and isinstance(pair, str):
        pair = parsed(pair)
    # A dataset may have a column ``pair`` of another kind: only the policy ``pair`` demands the two sentences.
    if isinstance(pair, Mapping) or any(ours.startswith("pair.") for ours in row.fields):
        pair = row.mapping("pair")
    return {**metadata, "pair": pair} if pair else metadata
