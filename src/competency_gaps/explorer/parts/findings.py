"""Findings as a page shows them: ``findings`` of ``run.json``, and the items of each in ``findings.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.probing import finding_command
from competency_gaps.explorer.parts.records.findings import Finding, FindingBenchmark, FindingExample, FindingItems
from competency_gaps.findings import short, support

_PLAIN = (
    *("finding", "verdict", "leader", "label", "concepts", "items", "clusters", "graded", "n_eff", "mean_score"),
    *("plain_gap", "gap", "gap_low", "gap_high", "p_value", "q_value", "detectable", "feature", "feature_items"),
    *("feature_score", "other_items", "other_score", "feature_p", "wording", "wording_source", "unseen_gap"),
    *("unseen_low", "unseen_high", "unseen_splits", "splits", "holds", "feature_words", "sentence"),
)
"""Columns of ``findings.parquet`` that are shown as they are."""


def finding_list(context: Context) -> list[Finding]:
    """All findings, weak ones first."""
    return [_finding(context, row) for row in context.findings.iter_rows(named=True)]


def finding_items(context: Context) -> list[FindingItems]:
    """``findings.json``: the items of each finding, those that weigh most first."""
    rows = context.findings.select("finding", "item_rows", "weights").iter_rows(named=True)
    return [FindingItems(**row) for row in rows]


def _finding(context: Context, row: Mapping[str, Any]) -> Finding:
    command, note = finding_command(context, row)
    return Finding(
        **{name: row[name] for name in _PLAIN},
        feature_benchmarks=[context.place[name] for name in row["feature_benchmarks"] or ()],
        short=short(row),
        support=support(row, context.concepts),
        benchmarks=[
            FindingBenchmark(**{**part, "benchmark": context.place[part["benchmark"]]}) for part in row["benchmarks"]
        ],
        failing=_examples(context, row["failing"]),
        passing=_examples(context, row["passing"]),
        command=command,
        command_note=note,
    )


def _examples(context: Context, rows: Sequence[int]) -> list[FindingExample]:
    clusters, repeated = context.items["cluster"], context.repeated
    return [
        FindingExample(
            item=row,
            repeats=len(repeated.get(clusters[row], [row])),
            differs=context.differing[row],
        )
        for row in rows
    ]
