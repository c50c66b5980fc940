"""What to do next, each with its reason and the command that does it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from competency_gaps.explorer.parts.context import Context
from competency_gaps.explorer.parts.redundancy import lost_without, twin
from competency_gaps.explorer.parts.suite import Suite
from competency_gaps.report.findings import missing
from competency_gaps.report.labels import marks_of
from competency_gaps.report.themes import theme_name
from competency_gaps.text import decimal, integer, percent, plural, share_of, shorten

if TYPE_CHECKING:
    from competency_gaps.explorer.parts.lacking import Lack

SHOWN = 24
"""Concepts that a suggestion names."""
REDUNDANT = 0.02
"""Part of a benchmark's concepts that only it may cover for it to be called redundant [ours]."""
THEMES = 3
"""Themes that are named for what no benchmark exercises."""


@dataclass(frozen=True)
class Suggestion:
    """One thing to do; the fields are those of ``Suggestion`` in ``types.ts``."""

    kind: Literal["missing", "weak", "redundant", "robustness", "label", "unmeasured"]
    title: str
    reason: str
    command: str | None = None
    """Null: nothing to run."""
    benchmark: int | None = None
    """Its place."""
    theme: int | None = None
    concepts: tuple[int, ...] = ()
    """At most ``SHOWN``, those that matter most first."""


def suggestions(context: Context, suite: Suite, lacks: list[Lack]) -> list[Suggestion]:
    """Say what to do next, what matters most first.

    Parameters
    ----------
    lacks : list of Lack
        ``lacking.lacks`` of the run.
    """
    from competency_gaps.explorer.parts.lacking import lacking
    from competency_gaps.explorer.parts.robust import robustness
    from competency_gaps.explorer.parts.weak_themes import weak_themes

    return [
        *robustness(context),
        *weak_themes(context),
        *lacking(lacks),
        *_unmeasured(context),
        *_redundant(context, suite),
        *_labels(context),
    ]


def command(context: Context, *words: str, options: Iterable[str] = ()) -> str:
    """Write a command on the run, as a shell takes it.

    Parameters
    ----------
    words : str
        The command's words, ``robustness`` or ``probe``, ``concept``.
    options : iterable of str
        What follows the run.
    """
    return shlex.join(["cgaps", *words, _folder(context), *options])


def _folder(context: Context) -> str:
    """The run's folder as a command names it: as it was given, but who has an export need not know where it lay."""
    return context.run.path.resolve().name if context.portable else str(context.run.path)


def _unmeasured(context: Context) -> list[Suggestion]:
    """Ranked concepts of the reference that no benchmark exercises, by theme."""
    absent = missing(context.concepts)
    if context.themes is None or not absent.height:
        return []
    members = context.themes.members
    place = absent.join(members.select("concept", "theme"), on="concept", how="left", maintain_order="left")
    rows = {row["id"]: row for row in context.themes.themes.iter_rows(named=True)}
    counts = place["theme"].drop_nulls().value_counts(sort=True).rows()
    found = []
    for theme, count in sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:THEMES]:
        row = rows[theme]
        name = shorten(theme_name(row), 80)
        concepts = place.filter(pl.col("theme") == theme)["concept"].head(SHOWN).to_list()
        reason = (
            f"Of the ranked concepts of “{name}” {share_of(count, row['ranked'])} are alive in the reference text, but "
            f"no item of the run exercises them (in all themes: {integer(absent.height)}). Those that as much "
            "reference text would most likely have shown come first. Only other items tell how the model does there."
        )
        title = f"Nothing tests {plural(count, 'concept')} of “{name}”"
        see = command(context, "show", options=["--theme", str(theme)])
        found.append(Suggestion("unmeasured", title, reason, see, theme=int(theme), concepts=tuple(concepts)))
    return found


def _redundant(context: Context, suite: Suite) -> list[Suggestion]:
    """Benchmarks that could be left out of the configuration: others cover nearly all that they cover."""
    if len(context.names) < 2:
        return []
    lost, found = lost_without(suite.covered), []
    for added in reversed(suite.order):
        if not added.covered or lost[added.benchmark] > REDUNDANT * added.covered:
            continue
        near = twin(added.benchmark, suite.overlap["jaccard"], suite.overlap["cosine"])
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
        found.append(Suggestion("redundant", f"{name} adds few concepts", reason, benchmark=added.benchmark))
    return found[:3]


def _labels(context: Context) -> list[Suggestion]:
    """Weak leaders whose label nobody checked, or that have none."""
    rows = context.ranked.weak_leaders.to_dicts()
    doubtful = [(row["concept"], marks_of(row) or ([] if row["label"] else ["no label"])) for row in rows]
    wanted = [(int(concept), marks) for concept, marks in doubtful if marks]
    if not wanted:
        return []
    counts = {mark: sum(mark in marks for _, marks in wanted) for mark in ("auto", "doubtful", "no label")}
    words = {"auto": "an automatic label", "doubtful": "a doubtful label", "no label": "no label"}
    told = ", ".join(f"{integer(counts[mark])} with {words[mark]}" for mark in counts if counts[mark])
    ids = ",".join(str(concept) for concept, _ in wanted[:SHOWN])
    line, how = _label_command(context, ids)
    return [
        Suggestion(
            "label",
            f"Explain {plural(len(wanted), 'weak concept')} whose name says little",
            f"Weak concepts that lead a group: {integer(len(rows))}. Of these {integer(len(wanted))} cannot be told by "
            f"their names: {told}. {how}",
            line,
            concepts=tuple(concept for concept, _ in wanted[:SHOWN]),
        )
    ]


def _label_command(context: Context, ids: str) -> tuple[str | None, str]:
    """The command for better labels, and what it does."""
    dictionary = context.dictionary
    if context.redact:
        return None, "A language model that reads exemplars can explain them ('cgaps label')."
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
        shlex.join(["cgaps", "exemplars", "--run", _folder(context), "--out", context.shown(folder)]),
        "The command collects windows of the run's items for a dictionary; with these 'cgaps label' can have the "
        "concepts explained by a language model.",
    )


def _comes_along(folder: Path) -> bool:
    """Whether a dictionary lies in the package, where nobody should write."""
    import competency_gaps

    return Path(competency_gaps.__file__).resolve().parent in folder.resolve().parents
