"""A run as a card in a notebook. All of its text is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import polars as pl

from competency_gaps.errors import UserError
from competency_gaps.findings.answer import answer
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import visible


def run_card(run: RunFolder) -> str:
    """What the run says, worst first, then its benchmarks."""
    model = escape(visible(str(run.manifest["model"]["name"])))
    statements = "".join(f"<li>{escape(visible(text))}</li>" for text in _statements(run))
    columns = ("benchmark", "kept", "scored", "mean_score", "covered", "missing")
    return (
        f"<p><b>{model}</b> · {escape(visible(str(run.path)))}</p><ul>{statements}</ul>"
        f"{table_html(run.benchmarks.select(*columns))}"
    )


def _statements(run: RunFolder) -> list[str]:
    """The run's answer; where a table of it is missing, what to do."""
    try:
        given = answer(run)
    except UserError as error:
        return [str(error)]
    return [line.text for line in (given.opening, *given.trust, *given.findings, *given.confidence)]


def table_html(frame: pl.DataFrame) -> str:
    """A frame as an HTML table, numbers with three digits after the point."""
    head = _row(frame.columns, "th")
    body = "".join(_row(map(_words, row), "td") for row in frame.iter_rows())
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _row(cells: Iterable[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(visible(cell))}</{tag}>" for cell in cells) + "</tr>"


def _words(value: Any) -> str:
    if value is None:
        return "N/A"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
