"""Runs and answers as cards in a notebook, with all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import polars as pl

from competency_gaps.findings.finding import Answer
from competency_gaps.runs.open import RunFolder
from competency_gaps.util.text import plural, visible
from competency_gaps.view import words


def notebook_card(run: RunFolder) -> str:
    """Return HTML with a run's answer, worst findings first, and its benchmarks; of several models, only their
    scores.
    """
    from competency_gaps.findings.kept import answer
    from competency_gaps.findings.model_scores import models_table

    models = models_table(run)
    columns = ("benchmark", "kept", "scored", "mean_score", "covered", "missing")
    benchmarks = _table(run.benchmarks.select(*columns))
    if models.height > 1 and not run.tables:
        return _listed(f"{plural(models.height, 'model')}: run.answer(MODEL)", []) + _table(models)
    if not models.height:
        return _listed(str(run.path), []) + benchmarks
    kind = "benchmark" if run.tables else None
    return _answer_card(answer(run.run_itself(), run.scored_model, kind)) + benchmarks


def _answer_card(answer: Answer) -> str:
    return _listed(words.headline(answer), [words.sentence_of(answer, finding) for finding in answer.findings])


Answer._repr_html_ = _answer_card


def _listed(head: str, lines: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(visible(line))}</li>" for line in lines)
    return f"<p><b>{escape(visible(head))}</b></p><ol>{listed}</ol>"


def _table(frame: pl.DataFrame) -> str:
    """Return a whole frame as HTML, as polars shows it in a notebook, without types."""
    plain: dict[str, Any] = {"tbl_hide_column_data_types": True, "tbl_hide_dataframe_shape": True}
    with pl.Config(tbl_rows=-1, fmt_str_lengths=60, float_precision=3, **plain):
        return frame._repr_html_()
