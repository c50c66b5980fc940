"""Where a concept's label comes from, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from competency_gaps.dictionary.label_table import STATED
from competency_gaps.findings.answer_parts import AnsweredRun
from competency_gaps.presentation.facts import Fact
from competency_gaps.text import decimal, integer, share_of, shorten

AUTOMATIC = "auto"
KINDS = ("explained", "imported", "automatic")
_NAME_LIMIT = 80


def marks_of(row: Mapping[str, Any]) -> list[str]:
    """List the warnings that are shown beside a label.

    Parameters
    ----------
    row : mapping
        A row of ``run.concepts``; of its columns only ``label`` must be there.

    Returns
    -------
    list of str
        ``auto``: of kind automatic, words of its exemplars that nobody checked. Empty without a label.
    """
    return [AUTOMATIC] if row["label"] and row.get("label_kind") == "automatic" else []


def provenance(row: Mapping[str, Any]) -> str | None:
    """Say who made a label and how it scored; None in a run without a dictionary.

    Parameters
    ----------
    row : mapping
        A row of ``run.concepts``.
    """
    if not row["label"]:
        states = {
            "none": "No label: looked up, and the source has none, abstained, or its label scored below 0.6",
            "never": "No label: never looked up in a dictionary",
        }
        return states.get(str(row.get("label_state")))
    kind, explainer = row.get("label_kind"), row.get("explainer")
    if kind is None:
        return None
    name = shorten(str(explainer), _NAME_LIMIT) if explainer else None
    text = {
        "explained": f"explained by {name or 'an explainer that left no name'}",
        "imported": "imported" + (f", written by {name}" if name else ""),
        "automatic": f"automatic: {name or 'words of exemplars'}",
    }.get(str(kind), shorten(str(kind), _NAME_LIMIT))
    return text + _score(row)


def _score(row: Mapping[str, Any]) -> str:
    score, by = row.get("label_score"), row.get("label_scored_by")
    if score is None:
        return "" if row.get("label_kind") == "automatic" else ", not scored"
    if by == STATED:
        return f", its source's own score {decimal(score)}"
    return f", {shorten(str(by or 'score'), 40)} {decimal(score)}"


def dictionary_fact(run: AnsweredRun) -> Fact | None:
    """Count the labelled among the alive concepts, by kind; None in a run without a dictionary."""
    facts = run.manifest.get("dictionary")
    if not facts:
        return None
    alive = run.concepts.filter(pl.col("alive"))
    labelled = alive.filter(pl.col("label").fill_null("") != "")
    notes = [f"dictionary {shorten(str(facts.get('name') or 'without a name'), _NAME_LIMIT)}"]
    if "label_kind" in labelled.columns:
        counts = dict(labelled.group_by("label_kind").len().iter_rows())
        notes.insert(0, ", ".join(f"{integer(counts[kind])} {kind}" for kind in KINDS if kind in counts) or "none")
    themes = facts.get("themes")
    notes.append("no themes" if themes is None else f"{integer(themes)} themes")
    return Fact("Labels", f"{share_of(labelled.height, alive.height)} alive concepts", "; ".join(notes))
