"""Published results that are plain lists of records: MMLU-Pro, ZeroEval, IFEval and AlpacaEval.

Each has a recipe: what tells its files from others, and which field of a record means what.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from competency_gaps.items.config import LogSource
from competency_gaps.items.item import Reason
from competency_gaps.logs.prompt import NO_PROMPT, LoggedPrompt, read_prompt
from competency_gaps.logs.reader import (
    LogEntry,
    LoggedScore,
    LogPart,
    LogRecord,
    Reader,
    Tally,
    chosen_metric,
    log_lines,
    mapped,
    score_in_unit,
)
from competency_gaps.scoring.numeric import numbers
from competency_gaps.util.jsonl import files_under, first_object, json_file, mapping, sequence, text_or_none

Record = Mapping[str, Any]
_MAX_FIRST_RECORD_BYTES = 1 << 20
"""Bytes from a file's beginning in which its first record must end."""
_STARTS = re.compile(r"^\s*\[\s*(?=\{)|,\s*(?=\{)")
QUESTION = "the record's question"


class Recipe(NamedTuple):
    """How to recognise and read the results of one tool."""

    format: str
    keys: frozenset[str]
    """Fields that every record has."""
    names: tuple[str, ...]
    """Patterns of the files' names in a folder."""
    looked_for: str
    called: Callable[[Path, Record], tuple[str, str | None]]
    """Return benchmark and model, from a file and its first record."""
    asked: Callable[[Record], LoggedPrompt | None]
    fields: Callable[[Record], dict[str, Any]]
    """Return further fields of the item; with ``id`` if records have one."""
    score: Callable[[Record], LoggedScore]
    model: str = ""
    """The field that names the model; empty if there is none."""
    metrics: tuple[str, ...] = ("accuracy",)
    """Names of the metrics. If there are several, each has a file of its own, with the metric in its name."""


def find(recipe: Recipe, path: Path) -> list[LogPart]:
    """Return one part per file of results at a path (files that differ in the metric are one part).

    If the path is a file, it may have any name.
    """
    logs: dict[Path, tuple[str, str | None, dict[str, Path]]] = {}
    for file in files_under(path, *(("*.json", "*.jsonl") if path.is_file() else recipe.names)):
        first = _first(file)
        if not recipe.keys <= first.keys():
            continue
        metric = next((name for name in recipe.metrics if name in file.stem), recipe.metrics[0])
        beside = {name: file.with_name(file.name.replace(metric, name)) for name in recipe.metrics}
        files = {name: other for name, other in beside.items() if path.is_dir() and other.is_file()} or {metric: file}
        logs.setdefault(next(iter(files.values())), (*recipe.called(file, first), files))
    same = Counter((name, model) for name, model, _ in logs.values())
    parts = []
    for file, (name, model, files) in logs.items():
        known = model if same[name, model] == 1 else file.stem
        parts.append(LogPart(recipe.format, name, (file,), known, details={"files": files}))
    return parts


def _first(file: Path) -> dict[str, Any]:
    """Return the first record of a file that is a list of records; empty if it has none."""
    if file.suffix == ".jsonl":
        return first_object(file)
    try:
        with file.open("rb") as opened:
            head = opened.read(_MAX_FIRST_RECORD_BYTES).decode("utf-8-sig", errors="replace")
        start = _STARTS.search(head) if head.lstrip().startswith("[") else None
        return mapping(json.JSONDecoder().raw_decode(head, start.end())[0]) if start else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _lines(file: Path) -> Iterator[LogRecord]:
    """Yield the records of a JSONL file, or of a JSON file with a list."""
    if file.suffix == ".jsonl":
        yield from log_lines(file)
        return
    other = Reason("record_no_object", "the record is not a JSON object")
    for number, value in enumerate(sequence(json_file(file)), start=1):
        fault = None if isinstance(value, dict) else other
        yield LogRecord(f"{file.name}, record {number}", mapping(value), fault)


def read(recipe: Recipe, part: LogPart, source: LogSource) -> Iterator[LogEntry]:
    """Yield the items of one file of results, then the report.

    A record without an id gets its position in the file, from 0.
    """
    files: dict[str, Path] = part.details["files"]
    metric = chosen_metric(source, part, dict.fromkeys(files))
    tally, seen = Tally(part, metric=metric, available={"metric": tuple(files)}), set[str]()
    model: dict[str, Any] = {}
    for number, line in enumerate(_lines(files.get(metric, part.files[0]))):
        tally.records += 1
        if line.fault is not None or not recipe.keys <= line.value.keys():
            other = Reason("record_other", f"the record lacks one of {', '.join(sorted(recipe.keys))}")
            yield tally.drop(line.where, line.fault or other)
            continue
        if model.setdefault(recipe.model, line.value.get(recipe.model)) != line.value.get(recipe.model):
            yield tally.drop(line.where, Reason("other_model", "another model's: give each model a file of its own"))
            continue
        asked, fields = recipe.asked(line.value), recipe.fields(line.value)
        name = str(fields.pop("id", number))
        if asked is None or name in seen:
            again = Reason("record_again", "repeats the id of an earlier record")
            yield tally.drop(line.where, again if asked else NO_PROMPT)
            continue
        seen.add(name)
        score = recipe.score(line.value)
        tally.unscored_because(score.reason)
        identity = {"tool": recipe.format, "doc_id": name, "metric": tally.metric}
        fields |= {"score": score.value, "identity": identity, **mapped(source, line.where, line.value)}
        yield tally.item(asked.item(name, **fields), asked.method)
    yield tally.report()


def _alone(text: Any) -> LoggedPrompt | None:
    """Return a prompt of which only the item's own text is recorded; None if it is not a text or blank."""
    return LoggedPrompt(text, None, None, None, QUESTION) if isinstance(text, str) and text.strip() else None


def _choices(options: Any, answer: Any) -> dict[str, Any]:
    """Return the options and the index of the right one (from its letter) as fields; empty if there are no options."""
    texts = tuple(str(option) for option in sequence(options))
    index = ord(answer) - ord("A") if isinstance(answer, str) and len(answer) == 1 else -1
    return {"choices": texts, "answer": index if 0 <= index < len(texts) else None} if len(texts) > 1 else {}


def _right(answer: Any, key: Any) -> LoggedScore:
    """Return the score 1 if the answer equals the key, else 0; unscored if the key is neither letter nor number."""
    known = key is not None and (not isinstance(key, str) or re.fullmatch("[A-Z]", key))
    return LoggedScore(float(answer == key)) if known else LoggedScore(None, _NO_KEY)


_NO_KEY = Reason("no_key", "the key is not a letter or number")
_NO_ANSWER = Reason("no_answer", "no answer could be read from the output")
_RANDOM = Reason("random_letter", "the output has no answer, and the recorded letter was drawn at random")
_MODEL = re.compile(r"model_outputs_(.+?)(?:_\d+shots?)?$")
_SAID = re.compile(r"answer is \(?([A-J])")
_STATED = re.compile(r"[aA]nswer:\s*([A-J])")


def _mmlu_pro_response(record: Record) -> str | None:
    return text_or_none(record.get("generated_text", record.get("model_outputs")))


def _mmlu_pro_score(record: Record) -> LoggedScore:
    """Return whether the letter is right; unscored if the tool read none and drew one at random."""
    answer, response = record["pred"], _mmlu_pro_response(record)
    if not isinstance(answer, str):
        return LoggedScore(None, _NO_ANSWER)
    if response is not None and answer != _mmlu_pro_letter(response):
        return LoggedScore(None, _RANDOM)
    return _right(answer, record["answer"])


def _mmlu_pro_letter(response: str) -> str | None:
    """Return the letter that the tool reads in an output, or None.

    After the first ``answer is``; else after the last ``answer:`` of the first line that has one; else the last letter
    that stands alone.
    """
    said = _SAID.search(response)
    if said:
        return said[1]
    stated = list(_STATED.finditer(response))
    end = response.find("\n", stated[0].start()) % (len(response) + 1) if stated else 0
    letters = [match[1] for match in stated if match.start() < end] or re.findall(r"\b[A-J]\b", response)
    return letters[-1] if letters else None


def _mmlu_pro_called(file: Path, _first: Record) -> tuple[str, str | None]:
    named = _MODEL.search(file.stem)
    return "mmlu_pro", named[1] if named else None


_MMLU_PRO = Recipe(
    format="mmlu_pro",
    looked_for="MMLU-Pro: model_outputs_MODEL_5shots.json",
    names=("*model_outputs*.json",),
    keys=frozenset({"question_id", "question", "options", "answer", "pred"}),
    called=_mmlu_pro_called,
    asked=lambda record: _alone(record["question"]),
    fields=lambda record: {
        "id": record["question_id"],
        "group": text_or_none(record.get("category")),
        "response": _mmlu_pro_response(record),
        **_choices(record["options"], record["answer"]),
    },
    score=_mmlu_pro_score,
)

_ANSWER = re.compile(r'"answer"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^,}\n]*))', re.DOTALL)
"""The field of an answer's JSON, which may be broken elsewhere."""


def _zeroeval_output(record: Record) -> str | None:
    return next(map(text_or_none, sequence(record["output"])), None)


def _zeroeval_score(record: Record) -> LoggedScore:
    """Return whether the answer's first number, or its letter, equals the key's."""
    said = list(_ANSWER.finditer(_zeroeval_output(record) or ""))
    answer = (said[-1][1] or said[-1][2] or "").strip() if said else ""
    key = str(record.get("answer", record.get("correct_answer")))
    if answer in ("", "null"):
        return LoggedScore(None, _NO_ANSWER)
    if record.get("choices"):
        letter = re.search(r"\b[A-Z]\b", answer)
        return _right(letter and letter[0], key)
    if record["dataset"] != "gsm":
        return LoggedScore(None, Reason("no_rule", f"it is not known how answers to {record['dataset']} are scored"))
    return _right(*(next((number.value for number in numbers(text)), None) for text in (answer, key)))


_ZEROEVAL = Recipe(
    format="zeroeval",
    looked_for="ZeroEval: result_dirs/TASK/MODEL.json",
    names=("*.json",),
    keys=frozenset({"session_id", "chat_history", "output", "generator", "dataset", "id"}),
    called=lambda file, first: (str(first["dataset"]), text_or_none(first["generator"])),
    asked=lambda record: read_prompt(
        record.get("model_input") or sequence(record["chat_history"])[-1:], str(record.get("question") or ""), QUESTION
    ),
    fields=lambda record: {
        "id": record["id"],
        "answer": text_or_none(record.get("answer")),
        "response": _zeroeval_output(record),
        **_choices(record.get("choices"), record.get("answer", record.get("correct_answer"))),
    },
    score=_zeroeval_score,
    model="generator",
)


def _instructions(record: Record) -> list[list[str]]:
    """Return the parts of each instruction's id: ``family:name``, or ``language:family:name``."""
    return [str(name).split(":") for name in sequence(record["instruction_id_list"])]


def _ifeval_called(file: Path, first: Record) -> tuple[str, str | None]:
    language = next((parts[0] for parts in _instructions(first) if len(parts) > 2), "en")
    model = file.parent.name.removeprefix(f"{language}_") if file.name.startswith("eval_results") else None
    return "ifeval" if language == "en" else f"ifeval_{language}", model or None


def _ifeval_score(record: Record) -> LoggedScore:
    empty = Reason("no_response", "the model gave no response")
    return LoggedScore(None, empty) if record["response"] is None else score_in_unit(record["follow_all_instructions"])


_IFEVAL = Recipe(
    format="ifeval",
    looked_for="IFEval: eval_results_strict.jsonl",
    names=("*eval_results_*.jsonl",),
    keys=frozenset({"follow_all_instructions", "instruction_id_list", "prompt", "response"}),
    called=_ifeval_called,
    asked=lambda record: _alone(record["prompt"]),
    fields=lambda record: {
        "group": "+".join(sorted({parts[-2] for parts in _instructions(record) if len(parts) > 1})) or None,
        "response": text_or_none(record["response"]),
    },
    score=_ifeval_score,
    metrics=("strict", "loose"),
)


def _preference(record: Record) -> LoggedScore:
    """Return the judge's preference as a score, from baseline (1) to model (2); 0 and 1.5 are ties."""
    value = record["preference"]
    return score_in_unit(0.5 if value == 0 else value - 1 if isinstance(value, (int, float)) else value)


_ALPACA_EVAL = Recipe(
    format="alpaca_eval",
    looked_for="AlpacaEval: annotations.json",
    names=("*annotations*.json",),
    keys=frozenset({"instruction", "output_2", "generator_1", "generator_2", "preference"}),
    called=lambda file, first: (str(first.get("annotator") or "alpaca_eval"), text_or_none(first["generator_2"])),
    asked=lambda record: _alone(record["instruction"]),
    fields=lambda record: {
        "group": text_or_none(record.get("dataset")),
        "response": text_or_none(record["output_2"]),
    },
    score=_preference,
    model="generator_2",
    metrics=("preference",),
)


MMLU_PRO, ZEROEVAL, IFEVAL, ALPACA_EVAL = (
    Reader(recipe.looked_for, partial(find, recipe), partial(read, recipe), ("metric", "fields"))
    for recipe in (_MMLU_PRO, _ZEROEVAL, _IFEVAL, _ALPACA_EVAL)
)
