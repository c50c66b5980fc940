"""Findings, themes and concepts in detail, as the page shows them; concepts also in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import polars as pl
from markupsafe import Markup

from competency_gaps.findings import examples, support
from competency_gaps.findings.examples import Piece, own_part
from competency_gaps.presentation import columns
from competency_gaps.presentation.rankings import Ranking
from competency_gaps.presentation.themes import Themes
from competency_gaps.report.charts import page_svg
from competency_gaps.runs.open import Order, RunFolder
from competency_gaps.text import excerpt, integer, shorten

TEXT_LIMIT = 420
PIECE_LIMIT = 1000
"""Characters of each constant piece of a prompt."""
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

    item: examples.ShownItem
    prompt: ShownPrompt
    choices: list[ShownChoice]
    left_choices: int
    """Options that are not shown."""


@dataclass(frozen=True)
class FindingCard:
    """One finding."""

    row: dict[str, Any]
    """Its row of ``run.findings``."""
    support: str
    mix: str
    """Its items by benchmark."""
    concepts: list[dict[str, Any]]
    """Rows of ``run.concepts`` of those that are named."""
    pairs: list[tuple[ItemCard | None, ItemCard | None]]
    """Failing and passing items that belong side by side; None: one side has fewer."""
    command: str


def finding_cards(run: RunFolder, findings: pl.DataFrame) -> list[FindingCard]:
    """Lay out rows of ``run.findings``, in the order given."""
    return [_card(run, row) for row in findings.iter_rows(named=True)]


def _card(run: RunFolder, row: dict[str, Any]) -> FindingCard:
    failing, passing = ([_item(run, item) for item in side] for side in examples.shown_items(run, row))
    return FindingCard(
        row,
        support=support(row, run.concepts),
        mix=_mix(row["benchmarks"]),
        concepts=[run.concepts.row(int(concept), named=True) for concept in row["concepts"][:NAMED]],
        pairs=list(zip_longest(failing, passing)),
        command=shlex.join(examples.probe_arguments(run, row)),
    )


def _mix(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    ordered = sorted(benchmarks, key=lambda part: -part["share"])
    named = [f"{shorten(str(part['benchmark']), 60)} {integer(part['items'])}" for part in ordered[:NAMED]]
    left = sum(part["items"] for part in ordered[NAMED:])
    return ", ".join([*named, *([f"others {integer(left)}"] if left else [])])


def _item(run: RunFolder, item: examples.ShownItem) -> ItemCard:
    row = run.items.row(item.row, named=True)
    choices = item.choices or ()
    shown = [
        ShownChoice(choice, place == row["answer_index"], choice == item.response)
        for place, choice in enumerate(choices[:MOST_CHOICES])
    ]
    return ItemCard(item, _prompt(item.prompt, row["text"] or ""), shown, len(choices) - len(shown))


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
    leaders: list[dict[str, Any]]
    """At most :data:`LEADERS_LISTED` rows of ``Ranking.weak_leaders``."""
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


def theme_section(run: RunFolder, themes: Themes | None, ranked: Ranking) -> ThemeSection | None:
    """Lay out the themes of a run, with the weak leaders of ``ranked`` in each; None without themes."""
    if themes is None:
        return None
    opened = []
    for row in themes.themes.iter_rows(named=True):
        leading = themes.leaders(row["id"], ranked)
        listed = leading.head(LEADERS_LISTED).to_dicts()
        opened.append(OpenedTheme(row, themes.children(row["id"]).to_dicts(), listed, leading.height))
    chart = None
    if themes.tested:
        chart = page_svg(run, lambda plots: plots.themes(top=CHARTED), "Net gaps of themes, with their intervals")
    return ThemeSection(themes.caption(), THEME_COLUMNS, opened, chart)


@dataclass(frozen=True)
class ConceptView:
    """A concept in detail."""

    row: dict[str, Any]
    benchmarks: list[dict[str, Any]]
    """The concept's rows of the run's concept_benchmarks."""
    groups: list[tuple[str, list[dict[str, Any]]]]
    """Titled lists of items, none of them empty: rows of :meth:`RunFolder.concept_items`, each with its ``excerpt``."""


def _examples(run: RunFolder, concept: int, order: Order, limit: int) -> list[dict[str, Any]]:
    """Items in which a concept is active, with the stretch of each text that is shown."""
    rows = run.concept_items(concept, order=order, limit=limit).to_dicts()
    for row in rows:
        own, peak = (row["own_start"], row["own_end"]), (row["peak_start"], row["peak_end"])
        row["excerpt"] = excerpt(row["text"] or "", own=own, peak=peak, limit=TEXT_LIMIT)
    return rows


def concept_detail(run: RunFolder, row: dict[str, Any], per_benchmark: pl.DataFrame, examples: int) -> ConceptView:
    """Gather one concept's detail.

    Parameters
    ----------
    run : RunFolder
    row : dict
        The concept's row of ``run.concepts``.
    per_benchmark : DataFrame
        The concept's rows of ``run.concept_benchmarks``.
    examples : int
        Items per list.
    """
    concept = int(row["concept"])
    groups = [] if row["missing"] else _groups(run, concept, examples, scored=row["chi_model"] is not None)
    return ConceptView(row, per_benchmark.to_dicts(), groups)


def _groups(run: RunFolder, concept: int, limit: int, *, scored: bool) -> list[tuple[str, list[dict[str, Any]]]]:
    """Choose the lists of examples; no item is in two of them, and equal scores are not called best and worst."""
    best = _examples(run, concept, "best", limit) if scored else []
    worst = _examples(run, concept, "worst", limit) if scored else []
    if not best or not worst:
        groups = [("Where it is strongest", _examples(run, concept, "strongest", limit))]
    elif best[0]["score"] == worst[0]["score"]:
        groups = [("Every scored item has the same score", best)]
    else:
        seen = {(example["benchmark"], example["item_id"]) for example in best}
        rest = [example for example in worst if (example["benchmark"], example["item_id"]) not in seen]
        groups = [("Best items", best), ("Worst items", rest)]
    return [group for group in groups if group[1]]


def concept_details(run: RunFolder, frames: list[pl.DataFrame], examples: int) -> list[ConceptView]:
    """Gather the details of every concept in ``frames``, each once, in order of their number."""
    wanted = sorted({int(concept) for frame in frames for concept in frame["concept"]})
    rows = run.concepts.filter(pl.col("concept").is_in(wanted)).sort("concept")
    parts = {
        int(str(key[0])): part
        for key, part in run.concept_benchmarks.filter(pl.col("concept").is_in(wanted)).group_by(
            "concept", maintain_order=True
        )
    }
    empty = run.concept_benchmarks.clear()
    return [
        concept_detail(run, row, parts.get(int(row["concept"]), empty), examples) for row in rows.iter_rows(named=True)
    ]
