"""The themes as the page lays them out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from competency_gaps.report import columns, findings, labels
from competency_gaps.report.charts import page_svg
from competency_gaps.report.detail import ConceptDetail
from competency_gaps.report.findings import Ranking
from competency_gaps.report.protocol import RunView
from competency_gaps.report.themes import Themes, is_automatic, theme_name, theme_path

LISTED = 12
"""Weak leaders listed in an opened theme."""
CHARTED = 10
"""Themes from either end in the chart, at most."""
COLUMNS = (columns.PERFORMANCE, columns.THEME_GAP, columns.Q_VALUE, columns.PERFORMANCE_STATUS)


@dataclass(frozen=True)
class Leader:
    """A weak concept that leads a group, in its theme."""

    concept: int
    name: str
    marks: list[str]
    linked: bool
    """Whether its detail stands on the page."""
    values: dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A theme or subtheme."""

    name: str
    automatic: bool
    values: dict[str, Any]
    tone: str
    """``weak``, ``strong`` or empty."""


@dataclass(frozen=True)
class Opened:
    """A theme with what lies in it."""

    line: Line
    subthemes: list[Line]
    leaders: list[Leader]
    """At most :data:`LISTED`."""
    leading: int
    """Weak leaders in all."""


@dataclass(frozen=True)
class ThemeSection:
    """The section of themes."""

    caption: str
    columns: tuple[columns.Column, ...]
    themes: list[Opened]
    chart: Markup | None
    """Gaps of the weakest and strongest themes; None: no theme could be tested."""


@dataclass(frozen=True)
class Origin:
    """What a concept's detail says of its label."""

    marks: list[str]
    label: str | None
    """Provenance; None in a run that no dictionary names."""
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
        listed = [_leader(one, linked) for one in leading.head(LISTED).iter_rows(named=True)]
        children = [_line(child) for child in themes.children(row["id"]).iter_rows(named=True)]
        opened.append(Opened(_line(row), children, listed, leading.height))
    chart = None
    if themes.tested:
        chart = page_svg(run, lambda plots: plots.themes(top=CHARTED), "Net gaps of themes, with their intervals")
    return ThemeSection(themes.caption(), COLUMNS, opened, chart)


def origins(themes: Themes | None, details: list[ConceptDetail]) -> dict[int, Origin]:
    """Say of each detailed concept where its label comes from, and where it belongs."""
    found = {}
    for detail in details:
        concept = int(detail.row["concept"])
        path = None if themes is None else theme_path(themes.of_concept(concept)) or "in none"
        found[concept] = Origin(labels.marks_of(detail.row), labels.provenance(detail.row), path)
    return found


def _line(row: dict[str, Any]) -> Line:
    status = row["performance_status"]
    return Line(theme_name(row), is_automatic(row), row, status if status in ("weak", "strong") else "")


def _leader(row: Mapping[str, Any], linked: Collection[int]) -> Leader:
    values = dict(row)
    concept = int(row["concept"])
    return Leader(concept, findings.concept_name(values), labels.marks_of(row), concept in linked, values)
