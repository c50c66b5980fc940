"""Findings as a page shows them: ``findings`` of ``run.json``, and the items of each in ``findings.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.numbers import rounded
from competency_gaps.explorer.parts.probing import finding_command
from competency_gaps.findings import short, support
from competency_gaps.findings.answer import answer, answer_dict

_PLAIN = (
    *("finding", "verdict", "leader", "label", "concepts", "items", "clusters", "graded", "n_eff", "mean_score"),
    *("plain_gap", "gap", "gap_low", "gap_high", "p_value", "q_value", "detectable", "feature", "feature_items"),
    *("feature_score", "other_items", "other_score", "feature_p", "wording", "wording_source", "unseen_gap"),
    *("unseen_low", "unseen_high", "unseen_splits", "splits", "holds"),
)
"""Columns of ``findings.parquet`` that are told as they are."""


def finding_list(context: Context) -> list[dict[str, Any]]:
    """All findings, weak ones first; the fields are those of ``Finding`` in ``types.ts``."""
    return [_finding(context, row) for row in context.findings.iter_rows(named=True)]


def finding_items(context: Context) -> list[dict[str, Any]]:
    """``findings.json``: the items of each finding, those that weigh most first."""
    rows = context.findings.select("finding", "item_rows", "weights").iter_rows(named=True)
    return [rounded({**row, "weights": list(row["weights"])}, context.digits) for row in rows]


def answer_part(context: Context) -> dict[str, Any]:
    """The answer of the run, as the terminal and the report give it too."""
    return answer_dict(answer(context.view))


def _finding(context: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    command, told = finding_command(context, row)
    return {
        **{name: row[name] for name in _PLAIN},
        "feature_words": row["feature_words"],
        "feature_benchmarks": [context.place[name] for name in row["feature_benchmarks"] or ()],
        "sentence": row["sentence"],
        "short": short(row),
        "support": support(row, context.concepts),
        "benchmarks": [{**one, "benchmark": context.place[one["benchmark"]]} for one in row["benchmarks"]],
        "failing": [_example(context, item) for item in row["failing"]],
        "passing": [_example(context, item) for item in row["passing"]],
        "command": command,
        "command_note": told,
    }


def _example(context: Context, row: int) -> dict[str, Any]:
    cluster = context.items["cluster"][row]
    return {
        "item": row,
        "repeats": len(context.repeated.get(cluster, [row])),
        "differs": None if context.redact else context.differing[row],
    }
