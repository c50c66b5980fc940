"""Verdicts of a language model on pairs with similar embeddings.

The texts of a pair come from elsewhere: the prompt holds them as JSON and declares them to be data. A pair whose
verdict cannot be read is kept, marked ``unconfirmed``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

import polars as pl
import pydantic

from competency_gaps.config import LLMConfig
from competency_gaps.llm import Answer, Failure, Request, ask, parse
from competency_gaps.matching.summary import Matching, summarise
from competency_gaps.progress import Progress
from competency_gaps.text import visible

UNCONFIRMED = "unconfirmed"
"""The verdict of a pair whose answer cannot be read."""
MAX_TOKENS = 200
"""Room for the verdict and a little prose around it."""


class MatchVerdict(pydantic.BaseModel):
    """Verdict on an entry and a label."""

    model_config = pydantic.ConfigDict(extra="forbid")
    verdict: Literal["same", "related", "unrelated"]


class ScopeVerdict(pydantic.BaseModel):
    """Verdict on a benchmark's scope and a label."""

    model_config = pydantic.ConfigDict(extra="forbid")
    verdict: Literal["belongs", "borderline", "outside"]


Question = Literal["match", "scope"]
"""What is asked about a pair: its name in the prompts' files, the schemas and the ids."""
_VERDICTS: dict[Question, type[MatchVerdict] | type[ScopeVerdict]] = {"match": MatchVerdict, "scope": ScopeVerdict}
_FIRST_TEXT = {"match": "weakness", "scope": "scope"}
"""Name of a pair's first text in the prompt."""


def pairs_of(matching: Matching) -> list[tuple[str, str]]:
    """The distinct pairs of entry text and label in a matching, dropped ones included."""
    both = pl.concat([matching.pairs, matching.dropped]).select("entry_text", "label_text")
    return both.unique(maintain_order=True).rows()


def confirm_requests(pairs: Iterable[tuple[str, str]], question: Question = "match") -> list[Request]:
    """Make requests to judge pairs of an entry's text (or a benchmark's scope) and a label; equal pairs once."""
    system, user = (_prompt(f"{question}.{part}.txt") for part in ("system", "user"))
    schema = _VERDICTS[question].model_json_schema()
    requests = []
    for first, label in dict.fromkeys(pairs):
        data = json.dumps({_FIRST_TEXT[question]: visible(first), "concept": visible(label)}, ensure_ascii=False)
        name, prompt = _pair_id(question, first, label), Template(user).substitute(data=data)
        requests.append(Request(name, system, prompt, schema, f"{question}_verdict", MAX_TOKENS))
    return requests


def ask_verdicts(
    llm: LLMConfig | None, requests: Sequence[Request], question: Question, folder: Path, progress: Progress
) -> list[Answer]:
    """Ask a model for verdicts.

    Parameters
    ----------
    llm
        How it is asked; None: it is not.
    folder
        The run folder, in which answers are kept.

    Returns
    -------
    list of Answer
        Empty: no model is asked, or the requests were only written down.
    """
    if llm is None:
        return []

    def readable(answer: Answer) -> bool:
        return not isinstance(parse(answer, _VERDICTS[question]), Failure)

    return list((ask(requests, llm, folder / "answers", progress, readable) or {}).values())


def judges_of(answers: Iterable[Answer]) -> list[str]:
    """Models that gave answers, by name."""
    return sorted({answer.model for answer in answers if answer.model})


def apply_verdicts(matching: Matching, answers: Iterable[Answer]) -> Matching:
    """Store verdicts, set pairs judged unrelated aside, and count again.

    A pair whose answer cannot be read is kept as ``unconfirmed``; a pair without an answer keeps its verdict. The
    calibration remains that of the embedding, an upper bound of the chance of a match after verdicts.

    Parameters
    ----------
    answers
        Answers to the requests of :func:`confirm_requests`, in any order; others are ignored.
    """
    both = pl.concat([matching.pairs, matching.dropped])
    verdicts = newest_verdicts("match", both.select("entry_text", "label_text", "verdict").rows(), answers)
    place = {entry: i for i, entry in enumerate(matching.entries["entry"])}
    order = pl.Series([place[entry] for entry in both["entry"]], dtype=pl.Int64)
    pairs = both.with_columns(verdict=verdicts, order=order)
    pairs = pairs.sort("order", "similarity", "label_text", "concept", descending=[False, True, False, False])
    counted = ("n_concepts", "n_weak", "n_exercised", "n_themes", "recovered", "recovered_weak", "covered")
    return summarise(
        head=matching.entries.drop(counted),
        pairs=pairs.drop("order"),
        themes=matching.themes,
        candidates=matching.candidates,
        calibrations=(matching.calibration, matching.theme_calibration),
        per_entry=matching.per_entry,
        seed=matching.seed,
    )


def newest_verdicts(
    question: Question, pairs: Iterable[tuple[str, str, str | None]], answers: Iterable[Answer]
) -> pl.Series:
    """Verdicts on pairs (first text, label, verdict so far); ``unconfirmed`` where an answer cannot be read."""
    new = {}
    for answer in answers:
        read = parse(answer, _VERDICTS[question])
        new[answer.id] = UNCONFIRMED if isinstance(read, Failure) else str(read.verdict)
    verdicts = [new.get(_pair_id(question, first, label), old) for first, label, old in pairs]
    return pl.Series(verdicts, dtype=pl.String)


def _pair_id(question: Question, first: str, label: str) -> str:
    """Id of a pair's request, a hash of its texts."""
    digest = hashlib.sha256(json.dumps([first, label]).encode("ascii")).hexdigest()
    return f"{question}-{digest[:24]}"


def _prompt(name: str) -> str:
    return (files("competency_gaps.matching") / "prompts" / name).read_text(encoding="utf-8").strip()
