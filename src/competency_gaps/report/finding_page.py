"""Findings as the page lays them out: the sentence, its figures in words, items side by side, and its concepts."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl

from competency_gaps.findings import items, support
from competency_gaps.findings.differing import Piece, own_part
from competency_gaps.report import labels
from competency_gaps.report.findings import concept_name
from competency_gaps.report.protocol import RunView
from competency_gaps.text import integer, shorten

TEXT_LIMIT, ANSWER_LIMIT, CHOICE_LIMIT = 420, 240, 120
PIECE_LIMIT = 1000
"""Characters of each constant piece of a prompt."""
SENTENCE_LIMIT = 400
NAMED = 6
"""Concepts of a finding that are named."""
MOST_CHOICES = 12


@dataclass(frozen=True)
class Prompt:
    """What the model read, with what is the same in all prompts of the benchmark put aside."""

    own: str
    """The differing part, on one line."""
    pieces: list[tuple[str, bool]]
    """All of the text, in order, and whether each piece is constant; empty: the differing part is all of it."""


@dataclass(frozen=True)
class Choice:
    """One option of an item."""

    text: str
    expected: bool
    given: bool


@dataclass(frozen=True)
class ShownItem:
    """One item of a finding."""

    benchmark: str
    item_id: str
    prompt: Prompt
    choices: list[Choice]
    left_choices: int
    """Options that are not shown."""
    response: str | None
    answer: str | None
    score: float | None
    repeats: int
    """Items of the suite that ask the same, it among them."""


@dataclass(frozen=True)
class NamedConcept:
    """A concept that is evidence for a finding."""

    concept: int
    name: str
    marks: list[str]
    linked: bool
    """Whether its detail stands on the page."""


@dataclass(frozen=True)
class FindingCard:
    """One finding."""

    number: int
    verdict: str
    sentence: str
    support: str
    wording: str | None
    """A language model's words, with its name; None: none."""
    mix: str
    """Its items by benchmark."""
    concepts: list[NamedConcept]
    left_concepts: int
    pairs: list[tuple[ShownItem | None, ShownItem | None]]
    """Failing and passing items that belong side by side; None: one side has fewer."""
    command: str


def finding_cards(run: RunView, findings: pl.DataFrame, linked: Collection[int]) -> list[FindingCard]:
    """Lay out findings, in the order given.

    Parameters
    ----------
    run : RunView
    findings : DataFrame
        Rows of ``run.findings``.
    linked : collection of int
        Concepts whose detail stands on the page.
    """
    return [_card(run, row, linked) for row in findings.iter_rows(named=True)]


def _card(run: RunView, row: Mapping[str, Any], linked: Collection[int]) -> FindingCard:
    failing, passing = ([_item(run, one) for one in side] for side in items.shown_items(run, row))  # type: ignore[arg-type]
    wording = None
    if row["wording"]:
        wording = f"{shorten(str(row['wording']), SENTENCE_LIMIT)} ({shorten(str(row['wording_source'] or ''), 80)})"
    concepts = [int(concept) for concept in row["concepts"]]
    return FindingCard(
        number=int(row["finding"]),
        verdict=str(row["verdict"]),
        sentence=shorten(str(row["sentence"]), SENTENCE_LIMIT),
        support=shorten(support(row, run.concepts), 1000),
        wording=wording,
        mix=_mix(row["benchmarks"]),
        concepts=[_concept(run.concepts, concept, linked) for concept in concepts[:NAMED]],
        left_concepts=max(0, len(concepts) - NAMED),
        pairs=list(zip_longest(failing, passing)),
        command=shlex.join(items.probe_arguments(run, row)),  # type: ignore[arg-type]
    )


def _mix(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(benchmarks, key=lambda one: -one["share"])
    named = [f"{shorten(str(one['benchmark']), 60)} {integer(one['items'])}" for one in ordered[:NAMED]]
    left = sum(one["items"] for one in ordered[NAMED:])
    return ", ".join([*named, *([f"others {integer(left)}"] if left else [])])


def _concept(table: pl.DataFrame, concept: int, linked: Collection[int]) -> NamedConcept:
    row = table.row(concept, named=True)
    return NamedConcept(concept, concept_name(row), labels.marks_of(row), concept in linked)


def _item(run: RunView, one: items.ShownItem) -> ShownItem:
    row = run.items.row(one.row, named=True)
    choices, expected = one.choices or (), row["answer_index"]
    return ShownItem(
        benchmark=shorten(str(one.benchmark), 60),
        item_id=shorten(str(one.item_id), 60),
        prompt=_prompt(one.prompt, str(row["text"] or "")),
        choices=[
            Choice(shorten(str(choice), CHOICE_LIMIT), place == expected, choice == one.response)
            for place, choice in enumerate(choices[:MOST_CHOICES])
        ],
        left_choices=max(0, len(choices) - MOST_CHOICES),
        response=None if one.response is None else shorten(one.response, ANSWER_LIMIT),
        answer=None if one.answer is None else shorten(one.answer, ANSWER_LIMIT),
        score=one.score,
        repeats=one.repeats,
    )


def _prompt(folded: Sequence[Piece], text: str) -> Prompt:
    """Put what is constant aside, and what the model read around the item: few-shot examples, a chat template."""
    pieces = [(piece.text, piece.is_constant) for piece in folded]
    prompt = "".join(piece for piece, _ in pieces)
    place = text.find(prompt) if prompt else -1
    if place >= 0:
        pieces = [(text[:place], True), *pieces, (text[place + len(prompt) :], True)]
    whole = [(shorten(piece, PIECE_LIMIT), constant) for piece, constant in pieces if piece]
    constant = any(constant and piece.strip() for piece, constant in whole)
    return Prompt(shorten(own_part(folded), TEXT_LIMIT), whole if constant else [])
