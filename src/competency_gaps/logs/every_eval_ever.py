"""Results in the form of every_eval_ever, a schema of instance-level results of any tool, version 0.3.

An evaluation is an aggregate ``NAME.json`` with ``NAME_samples.jsonl`` beside it, or the samples alone; a line is one
sample under one of the aggregate's results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Item, Reason
from competency_gaps.logs.prompt import NO_PROMPT, LoggedPrompt, chat_messages, read_prompt
from competency_gaps.logs.reader import (
    NONE,
    LogEntry,
    LoggedScore,
    LogPart,
    Reader,
    Tally,
    chosen_metric,
    log_lines,
    mapped,
    mean_score,
    newest,
    score_in_unit,
)
from competency_gaps.util.jsonl import (
    files_under,
    first_object,
    json_file,
    mapping,
    number_or_none,
    sequence,
    text_or_none,
)

SAMPLES = "_samples.jsonl"
_REQUIRED = ("evaluation_id", "evaluation_name", "sample_id", "input", "evaluation")
"""Fields that tell a line from those of other tools."""
_PERCENT = (0.0, 100.0)
_Line = tuple[Mapping[str, Any], LoggedPrompt, LoggedScore]


class _Result(NamedTuple):
    """What the aggregate says about one of its results."""

    worst: float
    best: float
    """The raw scores that become 0 (``worst``) and 1 (``best``)."""
    fault: str | None = None
    """Why its scores cannot be brought into [0, 1]; None if they can."""
    shares: bool = False
    """Whether its limits are 0 and 100 although its samples' scores lie in [0, 1]."""
    figure: Any = None
    """The aggregate's own mean, as a raw score; None if there is none."""

    def score(self, value: Any) -> LoggedScore:
        """Return a raw score, rescaled to [0, 1]."""
        number = number_or_none(value)
        return score_in_unit(value if number is None else (number - self.worst) / (self.best - self.worst))


def find(path: Path) -> list[LogPart]:
    """Return one part per evaluation and model at a path, from its newest file.

    Every line is read, because only the lines say which evaluations and results a file holds, and in which range their
    scores lie.
    """
    if path.is_file() and path.suffix == ".json":
        path = path.with_name(path.stem + SAMPLES)
    files = files_under(path, "*.jsonl" if path.is_file() else f"*{SAMPLES}") if path.exists() else []
    by_name: dict[tuple[str, str | None], list[tuple[str, Path]]] = {}
    ranges: dict[tuple[str, str | None, Path], dict[str, tuple[float, float]]] = {}
    for file in files:
        if not all(name in first_object(file) for name in _REQUIRED):
            continue
        aggregate = _aggregate(file)
        stamp = str(aggregate.get("evaluation_timestamp") or aggregate.get("retrieved_timestamp") or "")
        for (name, model), results in _ranges(file).items():
            by_name.setdefault((name, model), []).append((stamp, file))
            ranges[name, model, file] = results
    parts = []
    for (name, model), logs in by_name.items():
        stamp, file, notes = newest(logs)
        details = {"name": name, "model": model, "ranges": ranges[name, model, file]}
        parts.append(LogPart("every_eval_ever", name, (file,), model, stamp or None, notes, details))
    return parts


def _aggregate(samples: Path) -> dict[str, Any]:
    """Return the aggregate beside a file of samples; empty if there is none."""
    file = samples.with_name(samples.name.removesuffix(SAMPLES) + ".json")
    return mapping(json_file(file)) if samples.name.endswith(SAMPLES) and file.is_file() else {}


def _ranges(file: Path) -> dict[tuple[str, str | None], dict[str, tuple[float, float]]]:
    """Return, per evaluation's name and model, the lowest and highest raw score of each result."""
    ranges: dict[tuple[str, str | None], dict[str, tuple[float, float]]] = {}
    for line in log_lines(file):
        name = line.value.get("evaluation_name")
        score = number_or_none(mapping(line.value.get("evaluation")).get("score"))
        if not isinstance(name, str):
            continue
        results = ranges.setdefault((name, text_or_none(line.value.get("model_id"))), {})
        low, high = results.setdefault(result_of(line.value), (math.inf, -math.inf))
        if score is not None and not line.value.get("error"):
            results[result_of(line.value)] = (min(low, score), max(high, score))
    return ranges


def read(part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the items of one evaluation under one of its results, then the report.

    Lines with the same sample and prompt become one item with their mean score.

    Raises
    ------
    UserError
        If no result's scores can be brought into [0, 1].
    """
    file, aggregate = part.files[0], _aggregate(part.files[0])
    results = {key: _result(part, aggregate, key, limits) for key, limits in part.details["ranges"].items()}
    metric = chosen_metric(source, part, {key: result.fault for key, result in results.items()})
    tally = Tally(part, metric=metric, available={"metric": tuple(results)})
    result = results.get(metric)
    if result is not None and result.shares:
        text = f"the limits of {metric} are 0 and 100, but every score is between 0 and 1, so scores are read as shares"
        tally.warn("shares_for_percent", text)
    repeats: dict[str, list[_Line]] = {}
    wanted = next(iter(results)) if metric == NONE else metric
    for line in log_lines(file):
        row = line.value
        name, model = row.get("evaluation_name"), text_or_none(row.get("model_id"))
        if isinstance(name, str) and (name, model) != (part.details["name"], part.details["model"]):
            continue
        tally.records += 1
        asked = line.fault or asked_in(row, wanted)
        if isinstance(asked, Reason):
            left_out = tally.drop(line.where, asked)
            if asked.code != "other_result":  # counted, not listed
                yield left_out
            continue
        same = repeats.setdefault(str(row["sample_id"]), [])
        if same and same[0][1].prompt != asked.prompt:
            yield tally.drop(line.where, Reason("sample_again", "repeats an earlier sample and epoch"))
            continue
        score = _score(row, result)
        tally.unscored_because(score.reason)
        same.append((row, asked, score))
    for number, lines in repeats.items():
        first, prompt, _ = lines[0]
        further = mapped(source, f"{file.name}, sample {number}", mapping(first.get("metadata")), first)
        yield tally.item(_item(lines, metric, further), prompt.method, records=len(lines))
    if result is not None:
        tally.compare_mean(result.score(result.figure).value, metric)
    yield tally.report()


def _result(part: LogPart, aggregate: Mapping[str, Any], key: str, scores: tuple[float, float]) -> _Result:
    """Return what the aggregate says about a result, given the lowest and highest raw score of its samples."""
    entries = [mapping(entry) for entry in sequence(aggregate.get("evaluation_results"))]
    ours = [entry for entry in entries if entry.get("evaluation_name") == part.details["name"]]
    entry = next((entry for entry in ours if entry.get("evaluation_result_id") == key), {})
    if not entry and len(ours) == len(part.details["ranges"]) == 1:
        entry = ours[0]  # lines without an id can be of no other result
    if ours and not entry:
        return _Result(0.0, 1.0, "is none of the aggregate's results")
    config = mapping(entry.get("metric_config"))
    low, high = (number_or_none(config.get(name)) for name in ("min_score", "max_score"))
    down = config.get("lower_is_better") is True
    inside = scores[0] >= 0 and scores[1] <= 1
    shares = inside and (low, high) == _PERCENT and scores[1] > 0
    figure = number_or_none(mapping(entry.get("score_details")).get("score"))
    if shares:
        figure = None if figure is None else figure / 100  # a percentage
        low, high = 0.0, 1.0
    fault = None
    if low is None or high is None or low >= high:
        if not inside and scores[0] <= scores[1]:
            fault = f"has scores from {scores[0]:g} to {scores[1]:g}, and no limits that would bring them into [0, 1]"
        elif config.get("score_type") == "levels":
            fault = "has levels, and no limits that would bring them into [0, 1]"
        elif down and config.get("score_type") != "binary":
            fault = "is better when lower, and its limits are unknown"
        low, high = 0.0, 1.0
    elif scores[0] < low or scores[1] > high:
        fault = f"has scores from {scores[0]:g} to {scores[1]:g}, outside its own limits {low:g} and {high:g}"
    return _Result(high if down else low, low if down else high, fault, shares, figure)


def _score(row: Mapping[str, Any], result: _Result | None) -> LoggedScore:
    """Return a line's score in [0, 1], or why it has none."""
    if row.get("error"):
        return LoggedScore(None, Reason("sample_failed", f"the sample failed; the first with {row['error']!s}"))
    value = mapping(row.get("evaluation")).get("score")
    return score_in_unit(value) if result is None else result.score(value)


LOG = Reader("every_eval_ever: *_samples.jsonl", find, read, ("metric", "fields"))


RAW = "input.raw, where it last occurs in input.formatted"


def result_of(row: Mapping[str, Any]) -> str:
    """Return the result that a line belongs to: its id, or, as some tools leave it out, the evaluation's name."""
    return str(row.get("evaluation_result_id") or row.get("evaluation_name"))


def asked_in(row: Mapping[str, Any], result: str) -> LoggedPrompt | Reason:
    """Return a line's prompt, or why the line becomes no item."""
    if not isinstance(row.get("evaluation_name"), str) or row.get("sample_id") in (None, ""):
        return Reason("sample_no_id", "the sample has no id")
    if result_of(row) != result:
        return Reason("other_result", f"belongs to the result {result_of(row)!r}, which was not chosen")
    input_ = mapping(row.get("input"))
    raw = text_or_none(input_.get("raw")) or ""
    asked = _conversation(row, raw) if row.get("interaction_type") in ("multi_turn", "agentic") else None
    asked = asked or read_prompt(text_or_none(input_.get("formatted")) or raw, raw, RAW)
    return asked or NO_PROMPT


def _conversation(row: Mapping[str, Any], raw: str) -> LoggedPrompt | None:
    """Return the system's and the user's messages as a prompt, the user's joined into one; None if there is none.

    The model's and its tools' messages are answers, not the item.
    """
    messages = [message for message in sequence(row.get("messages")) if mapping(message).get("content")]
    turns = chat_messages([message for message in messages if message.get("role") in ("system", "user")]) or ()
    users = [message["content"] for message in turns if message["role"] == "user"]
    if not users:
        return None
    system = [message for message in turns if message["role"] == "system"]
    asked = [*system, {"role": "user", "content": "\n\n".join(users)}]
    return read_prompt(asked, raw if len(users) == 1 else "", RAW)


def _item(lines: Sequence[_Line], metric: str, further: Mapping[str, Any]) -> Item:
    """Return a sample's item from its lines under the metric, with its mapped fields."""
    row, asked, _ = lines[0]
    input_ = mapping(row.get("input"))
    choices = tuple(choice for choice in sequence(input_.get("choices")) if isinstance(choice, str))
    references = [text for text in sequence(input_.get("reference")) if isinstance(text, str)]
    answer: Any = references[0] if len(references) == 1 else references or None
    if len(choices) > 1 and answer in choices:
        answer = choices.index(answer)
    fields = {
        "choices": choices if len(choices) > 1 else None,
        "answer": answer,
        "score": mean_score(score.value for _, _, score in lines),
        "response": _response(row),
        "epochs": len(lines),
        "identity": {
            "tool": "every_eval_ever",
            "doc_id": str(row["sample_id"]),
            "metric": metric,
            "epochs": len(lines),
            "sample_hash": row.get("sample_hash"),
        },
    }
    return asked.item(str(row["sample_id"]), **{**fields, **further})


def _response(row: Mapping[str, Any]) -> str | None:
    """Return the model's first output, or in a conversation the assistant's last message; None if there is none."""
    if row.get("interaction_type") in ("multi_turn", "agentic"):
        messages = map(mapping, sequence(row.get("messages")))
        answers = [message.get("content") for message in messages if message.get("role") == "assistant"]
        return next((answer for answer in reversed(answers) if isinstance(answer, str) and answer), None)
    return next((text for text in sequence(mapping(row.get("output")).get("raw")) if isinstance(text, str)), None)
