"""Turn the records of any source into items, through a mapping from our field names to the source's columns.

All checks of the input are here. An explicit null (or an empty CSV cell) means that there is no answer or no score. NaN
is an error, since it may be a missing value as well as a failed computation.
"""

from __future__ import annotations

import dataclasses
import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.item import HALF, Benchmark, Item, LeftOut, Message, SourceReport, is_whole
from competency_gaps.items.options import gold_index, without_options
from competency_gaps.util.errors import UserError, nearest, no_such
from competency_gaps.util.jsonl import float_or_none

_CONSTANT = re.compile(r"'[^']*'")
_COLUMN_IN_BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Record:
    """One record of a source, and where it stands there."""

    values: Mapping[str, Any]
    where: str
    """File and line, or dataset and row; begins every error message about the record."""
    untyped: bool = False
    """Whether all values are texts (CSV): lists and mappings are JSON in the cell, numbers are parsed."""


def named_path(text: str) -> tuple[str | None, Path]:
    """Return name and path of ``NAME=PATH``, or None and the path of a path alone, which may contain an ``=``."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).expanduser().exists():
        return None, Path(text).expanduser()
    return name or None, Path(path).expanduser()


def field_mapping(fields: Iterable[str]) -> dict[str, str]:
    """Return our fields' columns, from texts ``OURS=COLUMN``.

    Raises
    ------
    UserError
        If a text is of another form.
    """
    mapping = {}
    for text in fields:
        ours, equals, column = text.partition("=")
        if not equals or not ours or not column:
            raise UserError(f"field {text!r}: expected OURS=COLUMN, e.g. prompt=question.")
        mapping[ours] = column
    return mapping


class Row:
    """A record seen through the field mapping."""

    def __init__(self, record: Record, fields: Mapping[str, str]) -> None:
        self.record = record
        self.fields = fields

    def error(self, message: str) -> UserError:
        """Return a UserError that starts with the record's file and line."""
        return UserError(f"{self.record.where}: {message}")

    def has(self, ours: str) -> bool:
        """Return whether a field is mapped, or a column of its name exists."""
        return ours in self.fields or ours in self.record.values

    def get(self, ours: str) -> Any:
        """Return the value of one of our fields; None if the record has none. UserError if its column is missing."""
        if ours not in self.fields:
            return self.record.values.get(ours)
        column = self.fields[ours]
        try:
            return reach(self.record.values, column)
        except KeyError as error:
            known = list(self.record.values)
            raise self.error(
                f"field {ours!r} is mapped to the column {column!r}, but there is no {error.args[0]!r}. "
                f"The columns are {', '.join(known)}.{nearest(str(error.args[0]), known)} Correct 'fields'."
            ) from error

    def text(self, ours: str) -> str | None:
        """Return a field as a text, or None if it is empty; UserError if it is a list or mapping."""
        value = self.get(ours)
        if value is None or value == "":
            return None
        if isinstance(value, (list, dict, tuple)):
            raise self.error(f"field {ours!r} is {value!r}, expected a text.")
        return str(value)

    def mapping(self, ours: str, *, only_mapped: bool = False) -> dict[str, Any]:
        """Return a field as a mapping, with the entries that are mapped singly (``metadata.KEY``); empty if none."""
        value = None if only_mapped and ours not in self.fields else self.get(ours)
        if self.record.untyped and isinstance(value, str):
            value = parsed(value)
        if value is None or value == "":
            value = {}
        if not isinstance(value, Mapping):
            raise self.error(f"{ours!r} is {value!r}, expected a mapping.")
        single = {
            mapped.removeprefix(f"{ours}."): self.get(mapped) for mapped in self.fields if mapped.startswith(f"{ours}.")
        }
        return {**value, **single}

    def texts(self, ours: str) -> list[str]:
        """Return a field as a list of texts; empty if there are none."""
        value = self.get(ours)
        if self.record.untyped:
            value = parsed_texts(value)
        if value is None or value == "":
            return []
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.error(
                f"field {ours!r} is {value!r}, expected a list. "
                "Map it to a list or, with commas, to several columns ('option1, option2')."
            )
        # Sources with a column per option leave the last ones empty where an item has fewer.
        options = list(value)
        while options and options[-1] is None:
            options.pop()
        if any(option is None for option in options):
            raise self.error(f"field {ours!r} has an empty entry before its end: {options!r}.")
        return [str(option) for option in options]


def reach(values: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column: its exact name, a template, several names with commas, or a dotted path.

    A template is a text with columns in braces (``{context} {question}``); a constant stands in single quotes
    (``'1', '2', '3'``). A path goes through mappings, through lists by their index, and else into every element
    of a list.

    Raises
    ------
    KeyError
        With the name that does not exist.
    """
    if column in values:
        return values[column]
    if _CONSTANT.fullmatch(column):
        return column[1:-1]
    if _COLUMN_IN_BRACES.search(column):
        return _COLUMN_IN_BRACES.sub(lambda slot: _filled(values, slot[1]), column)
    if "," in column:
        return [reach(values, part.strip()) for part in column.split(",")]
    value: Any = values
    for part in column.split("."):
        value = _step(value, part)
    return value


def _filled(values: Mapping[str, Any], column: str) -> str:
    """Return a column's value as a text; empty for None."""
    value = reach(values, column)
    return "" if value is None else str(value)


def _step(value: Any, part: str) -> Any:
    """Return the value below one part of a dotted path; KeyError if there is none."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        if part not in value:
            raise KeyError(part)
        return value[part]
    if isinstance(value, (list, tuple)):
        if part.isdecimal():
            return value[int(part)] if int(part) < len(value) else None
        return [_step(element, part) for element in value]
    raise KeyError(part)


def parsed(cell: str) -> Any:
    """Return a cell's JSON value, or the cell itself if it is not JSON."""
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


def parsed_texts(cell: Any) -> Any:
    """Return the list in a CSV cell that holds a JSON list of texts; any other cell unchanged."""
    value = parsed(cell) if isinstance(cell, str) and cell.startswith('["') else cell
    return value if isinstance(value, list) else cell


def is_further(ours: str) -> bool:
    """Return whether a field groups items and does not change the question."""
    return ours in ("group", "cluster", "covariates") or ours.startswith("covariates.")


def further_fields(row: Row, *, only_mapped: bool = False) -> dict[str, Any]:
    """Return ``group``, ``cluster`` and ``covariates`` of a record, as arguments of ``Item``.

    Parameters
    ----------
    only_mapped
        Leave out what the field mapping does not name.

    Raises
    ------
    UserError
        If a column does not exist, or a covariate is neither a number nor a text.
    """
    arguments: dict[str, Any] = {}
    for ours in ("group", "cluster"):
        if not only_mapped or ours in row.fields:
            arguments[ours] = row.text(ours)
    if not only_mapped or any(ours.startswith("covariates") for ours in row.fields):
        values = row.mapping("covariates", only_mapped=only_mapped)
        arguments["covariates"] = {
            str(name): _covariate(row, name, value) for name, value in values.items() if value not in (None, "")
        }
    return arguments


def _covariate(row: Row, name: str, value: Any) -> float | str:
    """Return a number as a float, a truth value as 0 or 1, a text unchanged; UserError for anything else."""
    if isinstance(value, str) and not row.record.untyped:
        return value
    number = float_or_none(value)
    if number is None and isinstance(value, str):
        return value
    if number is None:
        raise row.error(f"the covariate {name!r} is {value!r}, expected a number or a text.")
    if not math.isfinite(number):
        raise row.error(f"the covariate {name!r} is {value!r}, expected a finite number. Leave unknown values empty.")
    return number


class _ItemEpoch(NamedTuple):
    """One record of an item; several records are its epochs."""

    item: Item
    name: str | None
    """The epoch's name; None if the item is asked once."""
    where: str


def _check_epoch(item: Item, epoch: str | None, where: str, earlier: Sequence[_ItemEpoch]) -> None:
    """Raise UserError if an item's id was used before, unless all are epochs of one item that ask the same."""
    if any(epoch is None or other.name in (None, epoch) for other in earlier):
        raise UserError(
            f"{where}: the id {item.id!r} was already used at {earlier[0].where}. Ids must be unique in a "
            f"benchmark: leave out the field to number the items, or add a field 'epoch' if items were asked "
            f"several times."
        )
    if epoch is not None and item.scorer not in (None, "imported"):
        raise UserError(
            f"{where}: 'epoch' is for scores that come with the items, but the scorer is {item.scorer!r} and the "
            f"model is asked once. Leave 'epoch' out, or set the scorer 'imported'."
        )
    if earlier and _asked(earlier[0].item) != _asked(item):
        raise UserError(
            f"{where}: epoch {epoch!r} of the id {item.id!r} differs from the first epoch in its prompt, "
            "messages, choices, answer, group or metadata. Give different questions different ids."
        )


_asked = operator.attrgetter("prompt", "messages", "choices", "answer", "group", "metadata")
"""The fields that all epochs of an item must share."""


def _merged(epochs: list[Item]) -> Item:
    """Return one item for all its epochs, with the mean of their scores and the first response."""
    if len(epochs) == 1:
        return epochs[0]
    scores = [item.score for item in epochs if item.score is not None]
    response = next((item.response for item in epochs if item.response is not None), None)
    return replace(
        epochs[0], response=response, score=sum(scores) / len(scores) if scores else None, epochs=len(epochs)
    )


_FROM_LOGS = ("body", "seen", "epochs", "identity")
"""Fields of ``Item`` that a record cannot set."""
FIELDS = tuple(field_.name for field_ in dataclasses.fields(Item) if field_.name not in _FROM_LOGS)
"""All fields that a record can set. ``metric`` is another word for ``scorer``, ``pair`` goes to ``metadata["pair"]``,
``labels`` are the source's names of the options, ``epoch`` distinguishes the repeats of an item that was asked
several times; the others are fields of ``Item``."""
FIELDS += ("epoch", "labels", "metric", "pair")
"""Fields of a record. ``metric`` is another word for ``scorer``, ``pair`` goes to ``metadata["pair"]``, ``labels`` are
the source's names of the options, ``epoch`` distinguishes the repeats of an item that was asked several times; the
others are fields of ``Item``."""

_TRUTH = {"True": 1.0, "true": 1.0, "False": 0.0, "false": 0.0}
"""Truth values as other programs write them into CSV."""
_TEXT_SCORERS = frozenset({"exact", "contains"})


def gather(
    entries: Iterable[Record | Item | LeftOut | SourceReport],
    name: str,
    *,
    source: str,
    fields: Mapping[str, str],
    scorer: str | None,
) -> Benchmark:
    """Return a benchmark of everything that a source yields, in its order.

    Parameters
    ----------
    entries
        What the source yields.
    name
        The benchmark's name.
    source
        The source in words, for messages.
    fields
        The source's column by our field. Dots reach inside (``answers.text``, also through lists), several
        columns with commas make a list (``option1, option2``), ``metadata.KEY`` and ``covariates.KEY`` fill these.
    scorer
        The benchmark's scorer; None: each record names its own.

    Returns
    -------
    Benchmark
        Every item's ``scorer`` is the scorer that scores it: the benchmark's, else the record's own. Epochs of one item
        are merged.

    Raises
    ------
    UserError
        If a record is wrong, two items have one id, or there is no item at all.
    """
    check_fields(fields)
    epochs: dict[str, list[_ItemEpoch]] = {}
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
                score = _score(entry.score, where)
                same = scorer in (None, entry.scorer) and score is entry.score
                item = entry if same else replace(entry, scorer=scorer or entry.scorer, score=score)
                _check_item(item, where)
            case Record():
                where, epoch = entry.where, Row(entry, fields).text("epoch")
                item = make_item(entry, index, fields, scorer)
            case _:
                raise UserError(f"{where}: expected an Item, found {type(entry).__name__}.")
        if item.identity or is_whole(item):  # items of logs were checked when they were read
            earlier = epochs.setdefault(item.id, [])
            _check_epoch(item, epoch, where, earlier)
            earlier.append(_ItemEpoch(item, epoch, where))
        else:
            left_out.append(LeftOut(where, HALF))
    items = [_merged([epoch.item for epoch in same]) for same in epochs.values()]
    if not items:
        why = f"all records were left out, the first because {left_out[0].reason}" if left_out else "it is empty"
        raise UserError(f"{source} has no items: {why}.")
    return Benchmark(name, tuple(items), tuple(left_out), tuple(reports))


def check_fields(fields: Mapping[str, str]) -> None:
    """Raise UserError for a field mapping that fills a field which items do not have.

    Raises
    ------
    UserError
        With the nearest known field.
    """
    for ours in fields:
        if ours not in FIELDS and not ours.startswith(("metadata.", "pair.", "covariates.")):
            raise no_such("fields: an item has no field", ours, FIELDS)


def make_item(record: Record, index: int, fields: Mapping[str, str], scorer: str | None) -> Item:
    """Return one record as a checked item.

    Parameters
    ----------
    index
        Position in the source; the id if the record has none.
    scorer
        The benchmark's scorer; it precedes the record's own, also in how the answer is read.

    Raises
    ------
    UserError
        If a field is missing or its value is not allowed.
    """
    row = Row(record, fields)
    prompt, messages, closing = _prompt(row)
    choices = row.texts("choices")
    named = row.text("scorer") or row.text("metric")
    if named is None:
        named = "imported" if row.has("score") else "choice" if choices else None
    answer = row.get("answer")
    if record.untyped:
        answer = parsed_texts(answer)
    if choices:
        try:
            prompt = without_options(prompt, choices)
            answer = _answer(answer, choices, row, scorer or named)
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
        scorer=scorer or named,
        score=_score(row.get("score"), record.where),
        response=_response(row, closing),
        metadata=_metadata(row),
        **further_fields(row),
    )
    _check_item(item, record.where)
    return item


def _check_item(item: Item, where: str) -> None:
    """Raise UserError if an item has an empty prompt or a single option."""
    if not item.prompt.strip():
        raise UserError(f"{where}: the prompt is empty. Give each item a text, or remove the record.")
    if item.choices is not None and len(item.choices) < 2:
        raise UserError(f"{where}: {len(item.choices)} option in 'choices', expected at least two.")


def _prompt(row: Row) -> tuple[str, tuple[Message, ...] | None, str | None]:
    """Return the prompt, the messages up to the last user message, and the text of an assistant's message after it."""
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
        raise row.error("after the last user message, 'messages' may contain one assistant message and nothing else.")
    content = messages[last]["content"]
    if prompt and prompt != content:
        raise row.error("'prompt' differs from the last user message in 'messages'. Leave one of them out.")
    return content, tuple(messages[: last + 1]), after[0]["content"] if after else None


def _messages(row: Row, raw: Any) -> list[Message]:
    """Return a record's chat messages; UserError if they are of another form."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except json.JSONDecodeError as error:
            raise row.error(f"'messages' is not valid JSON: {error}.") from error
    if not isinstance(raw, (list, tuple)):
        raise row.error(f"'messages' is {raw!r}, expected a list of {{role, content}}.")
    for message in raw:
        fine = isinstance(message, Mapping) and all(isinstance(message.get(key), str) for key in ("role", "content"))
        if not fine:
            raise row.error(f"the message {message!r} is not of the form {{role: text, content: text}}.")
    return [{"role": message["role"], "content": message["content"]} for message in raw]


def _answer(answer: Any, choices: Sequence[str], row: Row, scorer: str | None) -> Any:
    """Return the gold as the scorer expects it: an index of the choices, or the option's text for text scorers."""
    number = isinstance(answer, int) and not isinstance(answer, bool)
    if answer is None or (scorer not in (None, "choice", "pair") and not (scorer in _TEXT_SCORERS and number)):
        return answer
    index = gold_index(answer, choices, labels=row.texts("labels"), untyped=row.record.untyped)
    return choices[index] if scorer in _TEXT_SCORERS else index


def _response(row: Row, closing: str | None) -> str | None:
    """Return the ready-made response, from its field or from the assistant's closing message, or None."""
    value = row.get("response")
    if value is not None and not isinstance(value, str):
        raise row.error(f"the response is {value!r}, expected a text.")
    if value is not None and closing is not None and value != closing:
        raise row.error("'response' differs from the assistant's last message in 'messages'. Leave one of them out.")
    return value if value is not None else closing


def _score(value: Any, where: str) -> float | None:
    """Return a score in [0, 1], or None if it is empty; UserError for anything else."""
    if value is None or value == "":
        return None
    number = float_or_none(_TRUTH.get(value, value) if isinstance(value, str) else value)
    if number is None:
        raise UserError(f"{where}: the score {value!r} is not a number. Give a number in [0, 1], or null.")
    if math.isnan(number):
        raise UserError(f"{where}: the score is NaN. Write null for an unscored item.")
    if not 0 <= number <= 1:
        raise UserError(f"{where}: the score {number:g} is outside [0, 1]. Rescale the scores first.")
    return number


def _metadata(row: Row) -> dict[str, Any]:
    """Return a record's metadata, with the sentences of the scorer ``pair``."""
    metadata, pair = row.mapping("metadata"), row.get("pair")
    if row.record.untyped and isinstance(pair, str):
        pair = parsed(pair)
    # A dataset may have a column ``pair`` of another kind: only the scorer ``pair`` demands the two sentences.
    if isinstance(pair, Mapping) or any(ours.startswith("pair.") for ours in row.fields):
        pair = row.mapping("pair")
    return {**metadata, "pair": pair} if pair else metadata
