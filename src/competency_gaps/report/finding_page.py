"""Findings as the page lays them out: the sentence, its figures in words, items side by side, and its concepts."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.findings import support
from competency_gaps.findings.differing import fold, own_part, template_of
from competency_gaps.probes.fresh import generated, run_config
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
PROBED = 5
"""Concepts that the command tests further."""
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
    """Items of its cluster in the suite, it among them."""

    @property
    def expects_choice(self) -> bool:
        """Whether the expected answer is one of the options shown."""
        return any(choice.expected for choice in self.choices)


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
    sides: list[tuple[str, list[ShownItem]]]
    """Failing and passing items; a side without any is left out."""
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
    if findings.is_empty():
        return []
    shown = _Shown(run.items)
    families = _families(run)
    return [_card(run, row, shown, families, linked) for row in findings.iter_rows(named=True)]


def _card(
    run: RunView, row: Mapping[str, Any], shown: _Shown, families: set[str], linked: Collection[int]
) -> FindingCard:
    sides = [
        (title, [shown.item(int(item)) for item in row[side]])
        for title, side in (("It fails", "failing"), ("It passes", "passing"))
    ]
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
        sides=[side for side in sides if side[1]],
        command=probe_command(run, row, families),
    )


def _mix(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(benchmarks, key=lambda one: -one["share"])
    named = [f"{shorten(str(one['benchmark']), 60)} {integer(one['items'])}" for one in ordered[:NAMED]]
    left = sum(one["items"] for one in ordered[NAMED:])
    return ", ".join([*named, *([f"others {integer(left)}"] if left else [])])


def _concept(table: pl.DataFrame, concept: int, linked: Collection[int]) -> NamedConcept:
    row = table.row(concept, named=True)
    return NamedConcept(concept, concept_name(row), labels.marks_of(row), concept in linked)


def probe_command(run: RunView, row: Mapping[str, Any], families: set[str]) -> str:
    """Write the command that tests a finding on fresh items.

    Parameters
    ----------
    run : RunView
    row : mapping
        The finding.
    families : set of str
        Benchmarks of which new items can be generated; of others a language model has to write them.
    """
    words = ["cgaps", "probe", "concept", str(run.path)]
    words += ["--concept", ",".join(str(concept) for concept in row["concepts"][:PROBED])]
    if sum(one["share"] for one in row["benchmarks"] if one["benchmark"] in families) <= 0.5:
        words += ["--source", "endpoint", "--export", "questions.jsonl"]
    return shlex.join(words)


def _families(run: RunView) -> set[str]:
    try:
        return set(generated(run_config(run)))  # type: ignore[arg-type]
    except UserError:
        # Settings of another version, which the command cannot read either.
        return set()


class _Shown:
    """Shows items: what is constant in the prompts of a benchmark is looked up once."""

    def __init__(self, items: pl.DataFrame) -> None:
        self._items = items
        self._kept = items.filter(pl.col("excluded").is_null())
        self._sizes = dict(self._kept.group_by("cluster").len().iter_rows())
        self._templates: dict[str, list[str]] = {}

    def item(self, number: int) -> ShownItem:
        """Show the item of a row of ``items``."""
        row = self._items.row(number, named=True)
        choices = list(row["choices"] or ())
        expected, response = row["answer_index"], row["response"]
        return ShownItem(
            benchmark=shorten(str(row["benchmark"]), 60),
            item_id=shorten(str(row["item_id"]), 60),
            prompt=self._prompt(row),
            choices=[
                Choice(shorten(str(choice), CHOICE_LIMIT), place == expected, choice == response)
                for place, choice in enumerate(choices[:MOST_CHOICES])
            ],
            left_choices=max(0, len(choices) - MOST_CHOICES),
            response=None if response is None else shorten(response, ANSWER_LIMIT),
            answer=None if row["answer"] is None else shorten(row["answer"], ANSWER_LIMIT),
            score=row["score"],
            repeats=int(self._sizes.get(row["cluster"], 1)),
        )

    def _prompt(self, row: Mapping[str, Any]) -> Prompt:
        prompt, text = str(row["prompt"] or ""), str(row["text"] or "")
        folded = fold(prompt, self._template(str(row["benchmark"])))
        pieces = [(piece.text, piece.is_constant) for piece in folded]
        # What the model read around the item's own text: few-shot examples, a chat template.
        place = text.find(prompt) if prompt else -1
        if place >= 0:
            pieces = [(text[:place], True), *pieces, (text[place + len(prompt) :], True)]
        whole = [(shorten(piece, PIECE_LIMIT), constant) for piece, constant in pieces if piece]
        constant = any(constant and piece.strip() for piece, constant in whole)
        return Prompt(shorten(own_part(folded), TEXT_LIMIT), whole if constant else [])

    def _template(self, benchmark: str) -> list[str]:
        if benchmark not in self._templates:
            prompts = self._kept.filter(pl.col("benchmark") == benchmark)["prompt"].drop_nulls().to_list()
            self._templates[benchmark] = template_of(prompts)
        return self._templates[benchmark]
