"""What to do next, each with its reason and the command that does it."""

from __future__ import annotations

import shlex
from pathlib import Path

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.lacking import lacking
from competency_gaps.explorer.parts.probing import finding_command
from competency_gaps.explorer.parts.records.run import Suggestion
from competency_gaps.explorer.parts.redundancy import lost_without, twin
from competency_gaps.explorer.parts.robust import robustness
from competency_gaps.explorer.parts.suggestion import SHOWN, run_folder
from competency_gaps.explorer.parts.suite import Suite
from competency_gaps.findings import short
from competency_gaps.presentation.labels import marks_of
from competency_gaps.text import decimal, integer, percent, plural, shorten

REDUNDANT = 0.02
"""Part of a benchmark's concepts that only it may cover for it to be called redundant [ours]."""
TESTED = 4
"""Findings whose test is suggested."""


def suggestions(context: Context, suite: Suite) -> list[Suggestion]:
    """Say what to do next, what matters most first.

    What puts all findings in doubt comes first; then what tests the findings, by their value; then what a benchmark
    lacks of its own scope; then names to check, and benchmarks that add little.
    """
    return [
        *robustness(context),
        *_findings(context),
        *lacking(context),
        *_labels(context),
        *_redundant(context, suite),
    ]


def _findings(context: Context) -> list[Suggestion]:
    """Tests of the findings: weak ones first, by the size of the gap times the effective sample; doubtful ones last."""
    doubtful = pl.col("holds").fill_null(value=True).not_()
    weak = context.findings.filter(pl.col("verdict") == "weak").sort(doubtful, maintain_order=True)
    suggestions = []
    for row in weak.head(TESTED).iter_rows(named=True):
        line, how = finding_command(context, row)
        benchmarks = row["benchmarks"]
        suggestions.append(
            Suggestion(
                "weak",
                f"Test on fresh items: {short(row)}",
                f"{row['sentence']}. {how}",
                line,
                abs(row["gap"]) * row["n_eff"],
                benchmark=context.place[benchmarks[0]["benchmark"]] if len(benchmarks) == 1 else None,
                finding=int(row["finding"]),
                concepts=tuple(list(row["concepts"])[:SHOWN]),
            )
        )
    return suggestions


def _redundant(context: Context, suite: Suite) -> list[Suggestion]:
    """Benchmarks that could be left out of the configuration: others cover nearly all that they cover."""
    if len(context.names) < 2:
        return []
    lost, suggestions = lost_without(suite.covered), []
    for added in reversed(suite.order):
        if not added.covered or lost[added.benchmark] > REDUNDANT * added.covered:
            continue
        near = twin(added.benchmark, suite.overlap.jaccard, suite.overlap.cosine)
        if near is None:
            continue
        name, other = (shorten(context.names[place], 60) for place in (added.benchmark, near.benchmark))
        alone = int(lost[added.benchmark])
        reason = (
            f"Of the {plural(added.covered, 'ranked concept')} that {name} exercises, {integer(alone)} "
            f"({percent(alone, added.covered)}) are exercised by no other benchmark: so many would be lost without it. "
            f"Its nearest by concepts is {other} (Jaccard {decimal(near.jaccard)}, cosine of coverage "
            f"{decimal(near.cosine)}). That concepts are shared does not say that the items are: look at the scores of "
            "both before you take it out of ‘benchmarks’ in the configuration."
        )
        suggestions.append(Suggestion("redundant", f"{name} adds few concepts", reason, benchmark=added.benchmark))
    return suggestions[:3]


def _labels(context: Context) -> list[Suggestion]:
    """Weak leaders whose label nobody checked, or that have none."""
    rows = context.ranked.weak_leaders.to_dicts()
    doubtful = [(row["concept"], marks_of(row) or ([] if row["label"] else ["no label"])) for row in rows]
    wanted = [(int(concept), marks) for concept, marks in doubtful if marks]
    if not wanted:
        return []
    counts = {mark: sum(mark in marks for _, marks in wanted) for mark in ("auto", "doubtful", "no label")}
    words = {"auto": "an automatic label", "doubtful": "a doubtful label", "no label": "no label"}
    tally = ", ".join(f"{integer(counts[mark])} with {words[mark]}" for mark in counts if counts[mark])
    ids = ",".join(str(concept) for concept, _ in wanted[:SHOWN])
    line, how = _label_command(context, ids)
    return [
        Suggestion(
            "label",
            f"Explain {plural(len(wanted), 'weak concept')} whose name says little",
            f"Weak concepts that lead a group: {integer(len(rows))}. Of these {integer(len(wanted))} cannot be told by "
            f"their names: {tally}. {how}",
            line,
            len(wanted),
            concepts=tuple(concept for concept, _ in wanted[:SHOWN]),
        )
    ]


def _label_command(context: Context, ids: str) -> tuple[str | None, str]:
    """The command for better labels, and what it does."""
    dictionary = context.dictionary
    if dictionary is not None and dictionary.has_exemplars:
        words = ["cgaps", "label", context.shown(dictionary.folder), "--step", "explain", "--concepts", ids]
        return (
            shlex.join([*words, "--export", "questions.jsonl"]),
            "The command writes the questions for a language model into a file; with --base-url and --model it asks.",
        )
    run = context.run.path.resolve()
    new = run.with_name(f"{run.name}-dictionary")
    folder = new if dictionary is None or _comes_along(dictionary.folder) else dictionary.folder
    return (
        shlex.join(["cgaps", "exemplars", "--run", run_folder(context), "--out", context.shown(folder)]),
        "The command collects windows of the run's items for a dictionary; with these 'cgaps label' can have the "
        "concepts explained by a language model.",
    )


def _comes_along(folder: Path) -> bool:
    """Whether a dictionary lies in the package, where nobody should write."""
    return Path(__file__).resolve().parents[2] in folder.resolve().parents
