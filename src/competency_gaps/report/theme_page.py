"""Themes as the page shows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from competency_gaps.report import columns, labels
from competency_gaps.report.charts import page_svg
from competency_gaps.report.detail import ConceptDetail
from competency_gaps.report.finding_page import NamedConcept, named_concept
from competency_gaps.report.findings import Ranking
from competency_gaps.report.protocol import RunView
from competency_gaps.report.themes import Themes, theme_path

LISTED = 12
"""Weak leaders listed in an opened theme."""
CHARTED = 10
"""Themes from either end in the chart, at most."""
COLUMNS = (columns.PERFORMANCE, columns.THEME_GAP, columns.Q_VALUE, columns.PERFORMANCE_STATUS)


@dataclass(frozen=True)
class OpenedTheme:
    """A theme with its subthemes and weak leaders."""

    row: dict[str, Any]
    """Its row of ``run.theme_results``."""
    subthemes: list[dict[str, Any]]
    """Their rows."""
    leaders: list[tuple[NamedConcept, dict[str, Any]]]
    """At most :data:`LISTED`, with their rows of ``Ranking.weak_leaders``."""
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
        leaders = [(named_concept(leader, linked), leader) for leader in leading.head(LISTED).iter_rows(named=True)]
        opened.append(OpenedTheme(row, themes.children(row["id"]).to_dicts(), leaders, leading.height))
    chart = None
    if themes.tested:
        chart = page_svg(run, lambda plots: plots.themes(top=CHARTED), "Net gaps of themes, with their intervals")
    return ThemeSection(themes.caption(), COLUMNS, opened, chart)


def origins(themes: Themes | None, details: list[ConceptDetail]) -> dict[int, Origin]:
    """Give for each detailed concept where its label comes from, and its theme."""
    by_concept = {}
    for detail in details:
        concept = int(detail.row["concept"])
        path = None if themes is None else theme_path(themes.of_concept(concept)) or "in none"
        by_concept[concept] = Origin(labels.marks_of(detail.row), labels.provenance(detail.row), path)
    return by_concept
