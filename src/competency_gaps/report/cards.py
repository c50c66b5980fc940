"""Findings, themes and the origin of labels as the page shows them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl
from markupsafe import Markup

from competency_gaps.findings import items, support
from competency_gaps.findings.differing import Piece, own_part
from competency_gaps.presentation import columns, labels
from competency_gaps.presentation.rankings import Ranking, concept_name
from competency_gaps.presentation.run_view import RunView
from competency_gaps.presentation.themes import Themes, theme_path
from competency_gaps.report.charts import page_svg
from competency_gaps.report.detail import ConceptView
from competency_gaps.text import integer, shorten

TEXT_LIMIT, ANSWER_LIMIT, CHOICE_LIMIT = 420, 240, 120
PIECE_LIMIT = 1000
"""Characters of each constant piece of a prompt."""
SENTENCE_LIMIT = 400
NAMED = 6
"""Concepts of a finding that are named."""
MOST_CHOICES = 12
LEADERS_LISTED = 12
"""Weak leaders listed in an opened theme."""
CHARTED = 10
"""Themes from either end in the chart, at most."""
THEME_COLUMNS = (columns.PERFORMANCE, columns.THEME_GAP, columns.Q_VALUE, columns.PERFORMANCE_STATUS)


@dataclass(frozen=True)
class ShownPrompt:
    """What the model read, split into the parts that all prompts of the benchmark share and the item's own."""

    own: str
    """The differing part, on one line."""
    pieces: list[tuple[str, bool]]
    """All of the text, in order, and whether each piece is constant; empty: the differing part is all of it."""


@dataclass(frozen=True)
class ShownChoice:
    """One option of an item."""

    text: str
    expected: bool
    given: bool


@dataclass(frozen=True)
class ItemCard:
    """One item of a finding."""

    benchmark: str
    item_id: str
    prompt: ShownPrompt
    choices: list[ShownChoice]
    left_choices: int
    """Options that are not shown."""
    response: str | None
    answer: str | None
    score: float | None
    repeats: int
    """Items of the suite that ask the same, this one included."""


@dataclass(frozen=True)
class NamedConcept:
    """A concept by its name, with a link where its detail stands on the page."""

    number: int
    name: str
    marks: list[str]
    linked: bool


@dataclass(frozen=True)
class FindingCard:
    """One finding."""

    number: int
    verdict: str
    sentence: str
    support: str
    wording: str | None
    """A language model's words, with its name; None: no model worded it."""
    mix: str
    """Its items by benchmark."""
    concepts: list[NamedConcept]
    left_concepts: int
    """Concepts that are not named."""
    pairs: list[tuple[ItemCard | None, ItemCard | None]]
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
    failing, passing = ([_item(run, item) for item in side] for side in items.shown_items(run, row))  # type: ignore[arg-type]
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
        concepts=[named_concept(run.concepts.row(number, named=True), linked) for number in concepts[:NAMED]],
        left_concepts=max(0, len(concepts) - NAMED),
        pairs=list(zip_longest(failing, passing)),
        command=shlex.join(items.probe_arguments(run, row)),  # type: ignore[arg-type]
    )


def _mix(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(benchmarks, key=lambda part: -part["share"])
    named = [f"{shorten(str(part['benchmark']), 60)} {integer(part['items'])}" for part in ordered[:NAMED]]
    left = sum(part["items"] for part in ordered[NAMED:])
    return ", ".join([*named, *([f"others {integer(left)}"] if left else [])])


def named_concept(row: dict[str, Any], linked: Collection[int]) -> NamedConcept:
    """Name the concept of a row of ``run.concepts``; ``linked`` are those whose detail stands on the page."""
    return NamedConcept(row["concept"], concept_name(row), labels.marks_of(row), row["concept"] in linked)


def _item(run: RunView, item: items.ShownItem) -> ItemCard:
    row = run.items.row(item.row, named=True)
    choices, expected = item.choices or (), row["answer_index"]
    return ItemCard(
        benchmark=shorten(str(item.benchmark), 60),
        item_id=shorten(str(item.item_id), 60),
        prompt=_prompt(item.prompt, str(row["text"] or "")),
        choices=[
            ShownChoice(shorten(str(choice), CHOICE_LIMIT), place == expected, choice == item.response)
            for place, choice in enumerate(choices[:MOST_CHOICES])
        ],
        left_choices=max(0, len(choices) - MOST_CHOICES),
        response=None if item.response is None else shorten(item.response, ANSWER_LIMIT),
        answer=None if item.answer is None else shorten(item.answer, ANSWER_LIMIT),
        score=item.score,
        repeats=item.repeats,
    )


def _prompt(folded: Sequence[Piece], text: str) -> ShownPrompt:
    """Mark as constant what prompts share and what stands around the item: few-shot examples, a chat template."""
    pieces = [(piece.text, piece.is_constant) for piece in folded]
    prompt = "".join(piece for piece, _ in pieces)
    place = text.find(prompt) if prompt else -1
    if place >= 0:
        pieces = [(text[:place], True), *pieces, (text[place + len(prompt) :], True)]
    whole = [(shorten(piece, PIECE_LIMIT), constant) for piece, constant in pieces if piece]
    constant = any(constant and piece.strip() for piece, constant in whole)
    return ShownPrompt(shorten(own_part(folded), TEXT_LIMIT), whole if constant else [])


@dataclass(frozen=True)
class OpenedTheme:
    """A theme with its subthemes and weak leaders."""

    row: dict[str, Any]
    """Its row of ``run.theme_results``."""
    subthemes: list[dict[str, Any]]
    """Their rows."""
    leaders: list[tuple[NamedConcept, dict[str, Any]]]
    """At most :data:`LEADERS_LISTED`, with their rows of ``Ranking.weak_leaders``."""
    leading: int
    """Weak leaders in all."""


@dataclass(frozen=True)
class ThemeSection:
    """The section of themes."""

    caption: str
    columns: tuple[columns.Column, ...]
    themes: list[OpenedTheme]
    chart: Markup | None
    """Gaps of the weakest and strongest themes; None: no theme could be tested."""


@dataclass(frozen=True)
class Origin:
    """Where a concept's label comes from, and its theme."""

    marks: list[str]
    label: str | None
    """Provenance; None in a run without a dictionary."""
    theme: str | None
    """Theme and subtheme; None where the run has no themes."""


def theme_section(run: RunView, themes: Themes | None, ranked: Ranking, linked: Collection[int]) -> ThemeSection | None:
    """Lay out the themes of a run; None without any.

    Parameters
    ----------
    run : RunView
    themes : Themes, optional
    ranked : Ranking
        Whose weak leaders are listed by theme.
    linked : collection of int
        Concepts whose detail stands on the page.
    """
    if themes is None:
        return None
    opened = []
    for row in themes.themes.iter_rows(named=True):
        leading = themes.leaders(row["id"], ranked)
        listed = leading.head(LEADERS_LISTED).to_dicts()
        leaders = [(named_concept(leader, linked), leader) for leader in listed]
        opened.append(OpenedTheme(row, themes.children(row["id"]).to_dicts(), leaders, leading.height))
    chart = None
    if themes.tested:
        chart = page_svg(run, lambda plots: plots.themes(top=CHARTED), "Net gaps of themes, with their intervals")
    return ThemeSection(themes.caption(), THEME_COLUMNS, opened, chart)


def origins(themes: Themes | None, details: list[ConceptView]) -> dict[int, Origin]:
    """Give for each detailed concept where its label comes from, and its theme."""
    by_concept = {}
    for detail in details:
        concept = int(detail.row["concept"])
        path = None if themes is None else theme_path(themes.of_concept(concept)) or "in none"
        by_concept[concept] = Origin(labels.marks_of(detail.row), labels.provenance(detail.row), path)
    return by_concept
