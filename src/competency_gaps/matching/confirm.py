"""Verdicts of a language model on pairs with similar embeddings.

The texts of a pair are foreign: they are JSON-encoded in the prompt, which declares them as data. A pair whose verdict
cannot be read is kept, marked ``unconfirmed``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from string import Template
from typing import Literal, NamedTuple

import polars as pl
import pydantic

from competency_gaps.endpoint.parse import Failure, parse
from competency_gaps.endpoint.request import Answer, Request
from competency_gaps.matching.summary import Matching, summarise
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


class LabelPair(NamedTuple):
    """Two texts to be judged."""

    entry: str
    """An entry's text, or a benchmark's scope."""
    label: str


class _PairQuestion(NamedTuple):
    name: str
    """Name in the prompts' files, the schema and the ids."""
    first: str
    """Name of the pair's first text in the prompt."""
    model: type[MatchVerdict] | type[ScopeVerdict]


_MATCH = _PairQuestion("match", "weakness", MatchVerdict)
_SCOPE = _PairQuestion("scope", "scope", ScopeVerdict)


def pairs_of(matching: Matching) -> list[LabelPair]:
    """The distinct pairs of entry text and label in a matching, dropped ones included."""
    both = pl.concat([matching.pairs, matching.dropped]).select("entry_text", "label_text")
    return [LabelPair(*row) for row in both.unique(maintain_order=True).iter_rows()]


def confirm_requests(pairs: Iterable[tuple[str, str]]) -> list[Request]:
    """Requests to judge pairs of entry text and label as same, related or unrelated; equal pairs once."""
    return _requests(pairs, _MATCH)


def scope_requests(pairs: Iterable[tuple[str, str]]) -> list[Request]:
    """Requests to judge pairs of scope and label as belonging, borderline or outside; equal pairs once."""
    return _requests(pairs, _SCOPE)


def apply_verdicts(matching: Matching, answers: Iterable[Answer]) -> Matching:
    """Store verdicts, set pairs judged unrelated aside, and count again.

    A pair whose answer cannot be read is kept as ``unconfirmed``; a pair without an answer keeps its verdict. The
    calibration remains that of the embedding, an upper bound of the chance of a match after verdicts.

    Parameters
    ----------
    answers
        Answers to the requests of :func:`confirm_requests`, in any order; others are ignored.
    """
    verdicts = verdicts_of(answers, "match")
    both = pl.concat([matching.pairs, matching.dropped])
    ids = [pair_id("match", *row) for row in both.select("entry_text", "label_text").iter_rows()]
    judged = [verdicts.get(request_id, old) for request_id, old in zip(ids, both["verdict"].to_list(), strict=True)]
    place = {entry: i for i, entry in enumerate(matching.entries["entry"])}
    order = pl.Series([place[entry] for entry in both["entry"]], dtype=pl.Int64)
    pairs = both.with_columns(verdict=pl.Series(judged, dtype=pl.String), order=order)
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


def verdicts_of(answers: Iterable[Answer], name: Literal["match", "scope"]) -> dict[str, str]:
    """Verdicts by request id; ``unconfirmed`` where an answer cannot be read."""
    question = _MATCH if name == "match" else _SCOPE
    verdicts = {}
    for answer in answers:
        read = parse(answer, question.model)
        verdicts[answer.id] = UNCONFIRMED if isinstance(read, Failure) else str(read.verdict)
    return verdicts


def readable(answer: Answer, name: Literal["match", "scope"]) -> bool:
    """Whether an answer holds a verdict."""
    return UNCONFIRMED not in verdicts_of([answer], name).values()


def pair_id(name: str, entry: str, label: str) -> str:
    """Id of a pair's request, a hash of its texts."""
    digest = hashlib.sha256(json.dumps([entry, label]).encode("ascii")).hexdigest()
    return f"{name}-{digest[:24]}"


def _requests(pairs: Iterable[tuple[str, str]], question: _PairQuestion) -> list[Request]:
    system, user = (_prompt(f"{question.name}.{part}.txt") for part in ("system", "user"))
    schema = question.model.model_json_schema()
    requests: dict[str, Request] = {}
    for entry, label in pairs:
        name = pair_id(question.name, entry, label)
        data: Mapping[str, str] = {question.first: visible(entry), "concept": visible(label)}
        requests[name] = Request(
            id=name,
            system=system,
            user=Template(user).substitute(data=json.dumps(data, ensure_ascii=False)),
            schema=schema,
            schema_name=f"{question.name}_verdict",
            max_tokens=MAX_TOKENS,
            temperature=0.0,
        )
    return list(requests.values())


def _prompt(name: str) -> str:
    return (files("competency_gaps.matching") / "prompts" / name).read_text(encoding="utf-8").strip()
