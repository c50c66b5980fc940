"""What the items of a run are about and do not test, in a terminal: of one benchmark, or of several side by side."""

from __future__ import annotations

import shlex
from pathlib import Path
from string import ascii_uppercase

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from competency_gaps.findings.coverage import (
    LEVEL,
    MAX_TOPICS,
    Coverage,
    RegionCoverage,
    likeness,
    rarer,
)
from competency_gaps.findings.redundancy import Redundancy
from competency_gaps.util.text import integer, plural, visible
from competency_gaps.view.coverage_words import coverage_answer, coverage_words
from competency_gaps.view.terminal.tables import aligned, cut, plain
from competency_gaps.view.words import cut_at_word, see_all

_FIGURES_WIDTH = 32
"""Characters of a row before its name."""
_MIN_NAME_WIDTH = 31
"""Characters of a region's name beside many benchmarks, at least."""
_MARKS = {"crowded": ("▲", "green"), "thin": ("▽", "red"), "missing": ("○", "red")}
_LEGEND = (
    "Items per 100, with 95% intervals. similar: mean of the 3 most similar benchmarks; all: mean of all benchmarks in "
    "the atlas; text: ordinary text. Marks compare with all: ▲ crowded, surely more than twice as many; ▽ thin, surely "
    "less than half; ○ missing, thin and no item at all."
)
_BESIDE = (
    "Items per 100. here: all these benchmarks together; all: mean of all benchmarks in the atlas; text: ordinary text."
)
_NO_REFERENCE = "Dead concepts are not counted: the SAE has no reference statistics (‘cgaps concepts reference’)."
_NO_ATLAS = "Only concepts are counted: the run has no atlas (‘cgaps concepts name’ adds a dictionary that has one)."
_NO_SCOPE = "No scope is stated ({}--describe TEXT), so similar benchmarks say what is missing."


def coverage_view(report: Coverage, run: Path, limit: int, width: int, describe: str | None = None) -> RenderableType:
    """Say what the items of a run are about and lack: several benchmarks side by side."""
    words, parts = coverage_words(report), list[RenderableType]()
    if not report.benchmarks:
        notes = [_NO_ATLAS]
    else:
        if not any(part.scope for part in report.benchmarks):
            parts.append(plain(_NO_SCOPE.format("" if len(report.benchmarks) == 1 else "--benchmark NAME ")))
        parts += [plain(line, "bold") for line in coverage_answer(report)]
        parts += [*_command(report, run, describe), Text(), plain(words.pop(0)), Text()]
        if len(report.benchmarks) > 1:
            parts += _beside(report, limit, width)
            notes = [_BESIDE]
        else:
            parts.append(_regions(report, limit, width))
            notes = [_LEGEND]
    if not report.reference:
        notes.append(_NO_REFERENCE)
    for line in (*words, *notes):
        parts += [Text(), plain(line)]
    if report.redundancy is not None:
        parts += [Text(), *_added(report.redundancy, limit)]
    return Group(*parts)


def _command(report: Coverage, run: Path, describe: str | None) -> list[Text]:
    """The command that adds what one benchmark lacks."""
    if len(report.benchmarks) != 1 or not report.benchmarks[0].missing:
        return []
    words = ["cgaps", "improve", str(run), "--missing", report.benchmarks[0].name]
    command = shlex.join([*words, *(["--describe", describe] if describe else [])])
    return [plain(f"To add items: {command} --corpus FILE (or --llm FILE)")]


def _regions(report: Coverage, limit: int, width: int) -> Table:
    """The coarse regions, then finer ones that are lacking, and that are crowded."""
    by_share = sorted(report.regions, key=lambda part: -part.share)
    named = {topic.region for topic in report.whole.missing[:MAX_TOPICS]} if report.whole is not None else set()
    rare = (every := [part for part in rarer(report) if part.region not in named])[: limit // 2]
    crowded = [part for part in by_share if (part.level, part.status) == (LEVEL, "crowded") and part not in rare]
    finer = "finer" if len(rare) == len(every) else f"finer; {len(rare)} of {len(every)}"
    table = aligned(("here", "95%", "similar", "all", "text", "", ""), (5, 6), 1)
    for title, regions in (
        ("", [part for part in by_share if part.level == 1]),
        (f"rarer than in the most similar ({finer})", rare),
        ("over twice the mean of all (finer)", crowded[: limit // 2]),
    ):
        if title and regions:
            table.add_row(*[""] * 6, Text(title, "dim"))
        for region in regions:
            name = plain(cut_at_word(visible(region.name), max(width - _FIGURES_WIDTH - 2, _MIN_NAME_WIDTH)))
            table.add_row(*_figures(region), Text(*_MARKS.get(str(region.status), ("", ""))), name)
    return table


def _figures(region: RegionCoverage) -> list[str]:
    """The shares of a region, each as a cell."""
    low, high = _share(region.low, least=""), _share(region.high)
    interval = f"{low}–{high}" if low != high else f"{100 * region.low:.1f}–{100 * region.high:.1f}"
    return [_share(region.share), interval, *map(_share, (region.near, region.public, region.text))]


def _beside(report: Coverage, limit: int, width: int) -> list[RenderableType]:
    """Benchmarks with their nearest ones and what they lack, and their shares by region."""
    regions, room = report.regions, width - 16
    shown = list(zip(ascii_uppercase[: max(2, (room - _MIN_NAME_WIDTH) // 3)], report.benchmarks, strict=False))
    listed, lacking = aligned(("", "benchmark", "items", "most similar"), (0, 1, 3)), list[str]()
    for letter, part in shown:
        near, like = part.nearest[0]
        listed.add_row(letter, *map(plain, (part.name, integer(part.items), f"{near} ({100 * like:.0f} of 100)")))
        if part.within and part.missing:
            lacking.append(f"Missing from the scope of {letter}: {'; '.join(topic.name for topic in part.missing)}.")
    shares = np.array([part.shares for _, part in shown])
    apart = shares.max(axis=0) - shares.min(axis=0)
    finer = sorted((part for part in regions if part.level == LEVEL), key=lambda part: -apart[part.region])[:limit]
    before = len(shown) + 3
    table = aligned((*(letter for letter, _ in shown), "here", "all", "text", ""), (before,), 1)
    for head, rows in (("", [part for part in regions if part.level == 1]), ("furthest apart (finer)", finer)):
        if head:
            table.add_row(*[""] * before, Text(head, "dim"))
        for row in rows:
            every = (*shares[:, row.region], row.share, row.public, row.text)
            title = plain(cut_at_word(visible(row.name), max(_MIN_NAME_WIDTH, room - 3 * len(shown))))
            table.add_row(*(_share(share, 0) for share in every), title)
    if len(report.benchmarks) == 2:
        alike = likeness([part.level for part in regions], *shares)
        lacking.append(f"Similarity of A and B: {100 * alike:.0f} of 100.")
    if more := len(report.benchmarks) - len(shown):
        lacking.append(f"{plural(more, 'more benchmark')}: --benchmark NAME, or --json.")
    return [listed, Text(), table, *[Text()] * bool(lacking), *map(plain, lacking)]


def _added(redundancy: Redundancy, limit: int) -> list[RenderableType]:
    """Which parts add what the others do not measure."""
    table, what = aligned((redundancy.what, "items", "missed", "noise", ""), (0, 4)), f"{redundancy.what}s"
    for part in redundancy.parts[:limit]:
        points = (f"{100 * value:.1f}" for value in (part.missed, part.noise))
        table.add_row(cut(part.name, _MIN_NAME_WIDTH), integer(part.items), *points, "adds" if part.adds else "")
    note = f"missed: points by which the other {what} miss a model's score on this one; noise: the most that random "
    note += f"{what} would miss. A {redundancy.what} adds something if more is missed than noise."
    more = f" To see {see_all(len(redundancy.parts), what)}." * (len(redundancy.parts) > limit)
    return [table, Text(), plain(note + more)]


def _share(share: float | None, digits: int = 1, least: str = "<") -> str:
    """So many of 100; below 1 with so many decimals."""
    if share is None:
        return ""
    if share == 0 or share >= 0.0095:
        return f"{100 * share:.0f}"
    text = f"{100 * share:.{digits}f}"
    return text if float(text) else f"{least}{10.0**-digits:g}" if least else "0"
