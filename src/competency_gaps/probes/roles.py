"""What the Examiner and the Questioner are asked, and what their answers may say. [ours, after AutoDetect's roles]

Whether an item excites a concept is measured afterwards, whatever they say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import pydantic

from competency_gaps.dictionary.folder import Dictionary
from competency_gaps.dictionary.labelling.requests import active_tokens, marked, plain
from competency_gaps.endpoint import Failure, Request
from competency_gaps.probes.targets import ProbedConcept
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import shorten

WINDOWS, TASKS = 8, 6
LONGEST = 4000
"""Characters of a written question, at most."""
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?", re.ASCII)


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class Topic(_Strict):
    """What to write questions on."""

    topic: str
    why: str


class Topics(_Strict):
    """The Examiner's answer."""

    topics: list[Topic]


class Written(_Strict):
    """A question as the Questioner writes it."""

    question: str
    kind: Literal["choice", "number", "text"]
    options: list[str]
    answer: str
    excites: bool


class Questions(_Strict):
    """The Questioner's answer."""

    items: list[Written]


def windows_of(target: ProbedConcept, dictionary: Dictionary | None) -> list[str]:
    """Exemplars of a concept with its tokens marked; empty without a dictionary's exemplars."""
    if dictionary is None or not dictionary.has_exemplars:
        return []
    windows = dictionary.exemplars.of(target.concept, "top", "spread")
    return [marked(window, active_tokens(window)) for window in windows[:WINDOWS]]


def examiner(run: RunFolder, target: ProbedConcept, windows: Sequence[str], topics: int) -> Request:
    """Ask which topics excite a concept."""
    order: Literal["worst", "best"] = "worst" if target.claim == "weak" else "best"
    shown = run.concept_items(target.concept, order=order, limit=TASKS)
    tasks = [
        {"text": shorten(plain((row["text"] or "")[row["own_start"] : row["own_end"]]), 600), "score": row["score"]}
        for row in shown.iter_rows(named=True)
    ]
    content = {
        "label": plain(target.label) if target.label else None,
        "windows": list(windows),
        "tasks": tasks,
        "claim": target.claim,
        "topics": topics,
    }
    return _request("examiner", target.concept, content, Topics, 1500)


def questioner(target: ProbedConcept, windows: Sequence[str], topic: Topic, count: int) -> Request:
    """Ask for questions on a topic, half of them without the concept."""
    content = {
        "label": plain(target.label) if target.label else None,
        "windows": list(windows),
        "topic": shorten(plain(topic.topic), 300),
        "with": count,
        "without": count,
    }
    return _request("questioner", target.concept, content, Questions, 400 * count)


def record_of(written: Written, id: str) -> dict[str, Any] | Failure:
    """A question as a benchmark's record."""
    question, answer = written.question.strip(), written.answer.strip()
    if not question or not answer:
        return Failure("without a question or an answer")
    if len(question) + len(answer) + sum(map(len, written.options)) > LONGEST:
        return Failure(f"a question of more than {LONGEST:,} characters, options and answer included")
    record: dict[str, Any] = {"id": id, "prompt": question}
    if written.kind == "choice":
        options = [option.strip() for option in written.options]
        if not 2 <= len(options) <= 10 or len({option.casefold() for option in options}) < len(options):
            return Failure("options that are not 2 to 10 different ones")
        if answer not in options:
            return Failure("an answer that is none of its options")
        return {**record, "choices": options, "answer": options.index(answer)}
    if written.kind == "number" and not _NUMBER.fullmatch(answer):
        return Failure("an answer that is no number")
    return {**record, "answer": answer}


def _request(
    role: str, concept: int, content: dict[str, Any], answer: type[pydantic.BaseModel], tokens: int
) -> Request:
    text = json.dumps(content, ensure_ascii=False)
    # The id says what was asked, so that an answer to other windows or another topic is known as such.
    digest = hashlib.sha256((prompt(role) + text).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return Request(f"{role}-{concept}-{digest}", prompt(role), text, answer.model_json_schema(), role, tokens)


@cache
def prompt(name: str) -> str:
    """An instruction, from the file of its name."""
    return files("competency_gaps.probes").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")
