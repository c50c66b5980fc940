"""One concept of a run with its items and tokens, and runs and concepts as cards in a notebook, all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl

from competency_gaps.findings.finding import Answer
from competency_gaps.runs.open import Order, RunFolder
from competency_gaps.util.text import plural, visible
from competency_gaps.view import words
from competency_gaps.view.columns import concept_name


@dataclass(frozen=True, repr=False)
class Concept:
    """One concept of a run; see :meth:`Run.concept <competency_gaps.Run.concept>`."""

    run: RunFolder
    number: int

    @property
    def row(self) -> dict[str, Any]:
        """Its row of ``concepts``."""
        return self.run.concepts.row(self.number, named=True)

    @property
    def label(self) -> str | None:
        """Its label; None: it has none."""
        label: str | None = self.row["label"]
        return label

    @property
    def benchmarks(self) -> pl.DataFrame:
        """Its rows of ``concept_benchmarks``, one for each benchmark."""
        return self.run.concept_benchmarks.filter(pl.col("concept") == self.number)

    def items(self, order: Order = "strongest", *, benchmark: str | None = None, limit: int = 5) -> pl.DataFrame:
        """Items in which it is active; see :meth:`RunFolder.concept_items`.

        Returns
        -------
        polars.DataFrame
            With ``row``, the item's row in ``run.items``, which :meth:`RunFolder.token_activations` takes.
        """
        items = self.run.concept_items(self.number, benchmark=benchmark, order=order, limit=limit)
        rows = self.run.items.select("benchmark", "item_id").with_row_index("row")
        placed = items.join(rows, on=["benchmark", "item_id"], how="left", maintain_order="left")
        return placed.select("row", pl.exclude("row"))

    def __repr__(self) -> str:
        row = self.row
        association = "no association" if row["association"] is None else f"association {row['association']:+.2f}"
        return f"Concept({self.number}: {visible(concept_name(row))}, {row['performance_status']}, {association})"

    def _repr_html_(self) -> str:
        shown = self.benchmarks.filter(pl.col("support") > 0)
        shown = shown.select("benchmark", "support", "chi_model", "^association.*$", "performance_status")
        return f"<p><b>{escape(repr(self))}</b></p>{_table(shown)}"


def notebook_card(run: RunFolder) -> str:
    """What the run says, worst first, then its benchmarks; of several models only their scores."""
    from competency_gaps.findings.kept import answer
    from competency_gaps.findings.model_scores import models_table

    models = models_table(run)
    columns = ("benchmark", "kept", "scored", "mean_score", "covered", "missing")
    benchmarks = _table(run.benchmarks.select(*columns))
    if models.height > 1 and run.path == run.base:
        return _listed(f"{plural(models.height, 'model')}: run.answer(MODEL)", []) + _table(models)
    if not models.height:
        return _listed(str(run.path), []) + benchmarks
    kind = None if run.path == run.base else "benchmark"
    return _answer_card(answer(run.run_itself(), run.scored_model, kind)) + benchmarks


def _answer_card(answer: Answer) -> str:
    return _listed(words.headline(answer), [words.sentence_of(answer, finding) for finding in answer.findings])


Answer._repr_html_ = _answer_card


def _listed(head: str, lines: Sequence[str]) -> str:
    listed = "".join(f"<li>{escape(visible(line))}</li>" for line in lines)
    return f"<p><b>{escape(visible(head))}</b></p><ol>{listed}</ol>"


def _table(frame: pl.DataFrame) -> str:
    """A whole frame as polars shows it in a notebook, without types."""
    plain: dict[str, Any] = {"tbl_hide_column_data_types": True, "tbl_hide_dataframe_shape": True}
    with pl.Config(tbl_rows=-1, fmt_str_lengths=60, float_precision=3, **plain):
        return frame._repr_html_()
