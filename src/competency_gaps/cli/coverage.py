"""``cgaps coverage`` and ``match``: what the items of runs are about and do not test, and other people's lists."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.cli.shared import (
    JsonOption,
    QuietOption,
    RunArgument,
    RunsArgument,
    open_source,
    print_json,
    print_line,
    terminal,
)
from competency_gaps.util.errors import UserError
from competency_gaps.util.text import integer, plural, signed, visible

if TYPE_CHECKING:
    from competency_gaps.findings.coverage import BenchmarkCoverage, Coverage
    from competency_gaps.findings.match import Matched, Matching, Rate

_NUMBERS = 32
"""Characters of a row before its name."""
_SHORT = 31
"""Characters of a region's name beside many benchmarks, at least."""
_MARKS = {"crowded": ("▲", "green"), "thin": ("▽", "red"), "missing": ("○", "red")}
_LEGEND = (
    "Items per 100, with 95% intervals. similar: mean of the 3 most similar benchmarks; all: mean of all benchmarks in "
    "the atlas; text: ordinary text. Marks compare with all: ▲ crowded, surely more than twice as many; ▽ thin, surely "
    "less than half; ○ missing, thin and no item at all."
)
_BESIDE = "Items per 100.{} all: mean of all benchmarks in the atlas; text: ordinary text."
_NO_REFERENCE = "Dead concepts are not counted: the SAE has no reference statistics (‘cgaps concepts reference’)."
_NO_ATLAS = "Only concepts are counted: the run has no atlas (‘cgaps concepts name’ adds a dictionary that has one)."
_NO_SCOPE = "No scope is stated ({}--describe TEXT), so similar benchmarks say what is missing."


def coverage(
    runs: RunsArgument,
    benchmark: Annotated[str | None, typer.Option(help="Show only this benchmark.")] = None,
    describe: Annotated[
        str | None, typer.Option(help="What it is meant to test; default: its 'scope' in the configuration.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows per list.")] = 6,
    json_: JsonOption = False,
) -> None:
    """Show what the items cover and what they miss, by region of the atlas; compares several runs."""
    opened = [open_source(run) for run in runs]
    if len(opened) > 1:
        if benchmark is not None:
            raise UserError("--benchmark needs exactly one run: leave out the others.")
        first, *others = [run.regions for run in opened]
        if first is None or any(report is None or not report.equals(first) for report in others):
            raise UserError(
                "the runs do not share an atlas, so their regions cannot be compared: put the same dictionary on each "
                "(‘cgaps concepts name’)."
            )
    from competency_gaps.view.coverage_words import coverage_answer, coverage_words

    reports = [run.coverage(benchmark, describe) for run in opened]
    if json_:
        documents = [
            {"run": str(run), "answer": coverage_answer(report), "words": coverage_words(report), **asdict(report)}
            for run, report in zip(runs, reports, strict=True)
        ]
        print_json(documents[0] if len(documents) == 1 else {"runs": documents})
    else:
        print_coverage(reports, [run.shown_path for run in opened], limit, describe)


def print_coverage(reports: Sequence[Coverage], runs: Sequence[Path], limit: int, describe: str | None = None) -> None:
    """Print what the items of runs are about and lack: several benchmarks side by side."""
    from competency_gaps.view.coverage_words import coverage_words

    console = Console()
    parts = [(part, run.name) for report, run in zip(reports, runs, strict=True) for part in report.benchmarks]
    words = coverage_words(reports[0]) if len(reports) == 1 else []
    if not parts:
        notes = [_NO_ATLAS]
    else:
        if len(reports) == 1 and not any(part.scope for part, _ in parts):
            alone = len(parts) == 1
            console.print(Text(_NO_SCOPE.format("" if alone else "--benchmark NAME ")), highlight=False)
        for report, run in zip(reports, runs, strict=True):
            _print_answer(report, f"{run.name}: " * (len(reports) > 1), console)
        if words:
            _print_command(reports[0], runs[0], describe, console)
            console.print(Padding(Text(visible(words.pop(0))), (1, 0, 0, 0), expand=False))
        if len(parts) > 1:
            _print_beside(parts, reports, limit, console)
            notes = [_BESIDE.format(" here: all these benchmarks together;" * (len(reports) == 1))]
        else:
            _print_regions(reports[0], limit, console)
            notes = [_LEGEND]
    if len(reports) == 1 and not reports[0].reference:
        notes.append(_NO_REFERENCE)
    for line in (*words, *notes):
        console.print(Padding(Text(visible(line)), (1, 0, 0, 0), expand=False))


def _print_answer(report: Coverage, before: str, console: Console) -> None:
    from competency_gaps.view.coverage_words import coverage_answer

    for line in coverage_answer(report):
        console.print(Text(visible(before + line), "bold"), highlight=False)


def _print_command(report: Coverage, run: Path, describe: str | None, console: Console) -> None:
    """Print the command that adds what one benchmark lacks."""
    if len(report.benchmarks) == 1 and report.benchmarks[0].missing:
        words = ["cgaps", "improve", str(run), "--missing", report.benchmarks[0].name]
        command = shlex.join([*words, *(["--describe", describe] if describe else [])])
        console.print(Text(visible(f"To add items: {command} --corpus FILE (or --llm FILE)")), highlight=False)


def _print_regions(report: Coverage, limit: int, console: Console) -> None:
    """Print the coarse regions, then finer ones that are crowded, and that are lacking."""
    from competency_gaps.findings.coverage import LEVEL, MAX_TOPICS, rarer
    from competency_gaps.view.terminal.tables import aligned

    by_share = sorted(report.regions, key=lambda part: -part.share)
    top = [part for part in by_share if part.level == 1]
    named = {topic.region for topic in report.whole.missing[:MAX_TOPICS]} if report.whole is not None else set()
    rare = (every := [part for part in rarer(report) if part.region not in named])[: limit // 2]
    crowded = [part for part in by_share if (part.level, part.status) == (LEVEL, "crowded") and part not in rare]
    finer = "finer" if len(rare) == len(every) else f"finer; {len(rare)} of {len(every)}"
    lacking = f"rarer than in the most similar ({finer})"
    table = aligned(("here", "95%", "similar", "all", "text", "", ""), (5, 6), 1)
    for title, parts in (("", top), (lacking, rare), ("over twice the mean of all (finer)", crowded[: limit // 2])):
        if title and parts:
            table.add_row(*[""] * 6, Text(title, "dim"))
        for part in parts:
            low, high = _share(part.low, least=""), _share(part.high)
            interval = f"{low}–{high}" if low != high else f"{100 * part.low:.1f}–{100 * part.high:.1f}"
            numbers = (_share(part.share), interval, *map(_share, (part.near, part.public, part.text)))
            mark, style = _MARKS.get(str(part.status), ("", ""))
            table.add_row(*numbers, Text(mark, style), _cut(part.name, max(console.width - _NUMBERS - 2, _SHORT)))
    console.print(Padding(table, (1, 0, 0, 0), expand=False))


def _print_beside(
    parts: Sequence[tuple[BenchmarkCoverage, str]], reports: Sequence[Coverage], limit: int, console: Console
) -> None:
    """Print benchmarks, each with its run, with their nearest ones and what they lack, and their shares by region."""
    import numpy as np

    from competency_gaps.findings.coverage import LEVEL, likeness
    from competency_gaps.view.terminal.tables import aligned

    names, regions = [part.name for part, _ in parts], reports[0].regions
    here = ["here"] * (len(reports) == 1)
    room = console.width - 11 - 5 * len(here)
    shown = list(zip(ascii_uppercase[: max(2, (room - _SHORT) // 3)], parts, strict=False))
    table, lacking = aligned(("", "benchmark", "items", "most similar"), (0, 1, 3)), list[str]()
    for letter, (part, run) in shown:
        name = f"{part.name} ({run})" if names.count(part.name) > 1 else part.name
        near, like = part.nearest[0]
        cells = (name, integer(part.items), f"{near} ({100 * like:.0f} of 100)")
        table.add_row(letter, *(Text(visible(cell)) for cell in cells))
        if part.within and part.missing:
            lacking.append(f"Missing from the scope of {letter}: {'; '.join(here.name for here in part.missing)}.")
    console.print(Padding(table, (1, 0, 0, 0), expand=False))
    shares = np.array([part.shares for _, (part, _) in shown])
    apart = shares.max(axis=0) - shares.min(axis=0)
    finer = sorted((part for part in regions if part.level == LEVEL), key=lambda part: -apart[part.region])[:limit]
    table = aligned((*(letter for letter, _ in shown), *here, "all", "text", ""), (len(shown) + len(here) + 2,), 1)
    for title, rows in (("", [part for part in regions if part.level == 1]), ("furthest apart (finer)", finer)):
        if title:
            table.add_row(*[""] * (len(shown) + len(here) + 2), Text(title, "dim"))
        for row in rows:
            every = (*shares[:, row.region], *[row.share] * len(here), row.public, row.text)
            table.add_row(*(_share(share, 0) for share in every), _cut(row.name, max(_SHORT, room - 3 * len(shown))))
    console.print(Padding(table, (1, 0, 0, 0), expand=False))
    if len(parts) == 2:
        alike = likeness([part.level for part in regions], *shares)
        lacking.append(f"Similarity of A and B: {100 * alike:.0f} of 100.")
    if len(parts) > len(shown):
        lacking.append(f"{plural(len(parts) - len(shown), 'more benchmark')}: --benchmark NAME, or --json.")
    if lacking:
        console.print(*map(visible, ["", *lacking]), sep="\n", markup=False, highlight=False)


def _share(share: float | None, digits: int = 1, least: str = "<") -> str:
    """So many of 100; below 1 with so many decimals."""
    if share is None:
        return ""
    if share == 0 or share >= 0.0095:
        return f"{100 * share:.0f}"
    text = f"{100 * share:.{digits}f}"
    return text if float(text) else f"{least}{10.0**-digits:g}" if least else "0"


def _cut(name: str, most: int) -> Text:
    from competency_gaps.view.words import cut_at_word

    return Text(cut_at_word(visible(name), most))


_NAME, _TIE = 50, 60
"""Characters of a name, and of a slice's."""
_WORDS = {
    "failure": "go with failure",
    "matched": "matched by a slice",
    "recovered": "recovered by a slice that goes with failure",
    "failure recovered": "recovered, of those that go with failure",
    "untested": "untested: every slice that matches them is missing or thin here",
}
_HOW = {
    "items": "matched through the run's items",
    "examples": "matched through examples that the run's model read",
}


def match(
    run: RunArgument,
    list_: Annotated[
        str,
        typer.Argument(
            metavar="LIST",
            help="Entries as JSON, JSONL, CSV or YAML; a log of AutoDetect, garak, ...; or tags of the items: a table "
            "('id' and a column per tag) or the name of a column.",
        ),
    ],
    model: Annotated[str | None, typer.Option(help="Whose scores to use; default: the run's own model.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL|peers|benchmark", help="What to compare the scores with.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries to show.")] = 15,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Check a list of known weaknesses against a run: which does it recover, and what does the list miss?"""
    from competency_gaps import open_run

    matching = open_run(run).match(list_, model=model, against=against, progress=terminal(quiet))
    if json_:
        print_json({"run": str(run), **asdict(matching)})
    else:
        print_matching(matching, limit)


def print_matching(matching: Matching, limit: int) -> None:
    """Print the rates beside chance, the entries, and what the list lacks."""
    from competency_gaps.view.words import see_all

    print_line(f"{plural(len(matching.entries), 'entry').replace('entrys', 'entries')}, {_HOW[matching.how]}:")
    for rate in matching.rates:
        print_line(f"  {_rate(rate)}")
    measured = any(entry.association is not None for entry in matching.entries)
    entries, slices = Column("entry", overflow="fold", ratio=2), Column("matching slices", overflow="fold", ratio=3)
    figures = [Column(name, justify="right", no_wrap=True) for name in ("association", "items") if measured]
    table = Table(entries, *figures, slices, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown = [entry for entry in matching.entries if entry.outcome != "few" or entry.association is not None]
    for entry in shown[:limit]:
        table.add_row(*_cells(entry, measured))
    if shown:
        print_line("")
        Console().print(table, markup=False)
    if len(shown) > limit:
        print_line(f"To see {see_all(len(shown), 'entries')}.")
    if len(shown) < len(matching.entries):
        print_line(f"Not compared, with fewer than 6 examples: {integer(len(matching.entries) - len(shown))}.")
    if matching.lacks:
        names = "; ".join(
            f"{_shortened(lacked.name, _NAME)} ({signed(100 * lacked.gap, 0)})" for lacked in matching.lacks
        )
        print_line(f"\nIn the model's answer, but not on the list: {names}.")


def _rate(rate: Rate) -> str:
    chance = ""
    if rate.chance is not None and rate.most is not None:
        chance = f"; by chance {rate.chance:.1f}, up to {rate.most:.0f}"
    return f"{_WORDS[rate.what]}: {integer(rate.count)} of {integer(rate.of)}{chance}"


def _cells(entry: Matched, measured: bool) -> Sequence[str]:
    name = visible(_shortened(entry.name, _NAME))
    if entry.outcome == "few":
        ties = "too few examples to compare"
    else:
        shown = [_tie(tie.name, tie.auc, tie.status) for tie in entry.ties[:2]]
        ties = visible("; ".join(shown)) or "none"
    if not measured:
        return (name, ties)
    association = "" if entry.association is None else signed(100 * entry.association, 0)
    return (name, f"{association}{', failure' if entry.failure else ''}", integer(entry.items), ties)


def _tie(name: str, auc: float | None, status: str | None) -> str:
    facts = ", ".join(part for part in (status, None if auc is None else f"{auc:.2f}") if part)
    return f"{_shortened(name, _TIE)} ({facts})" if facts else _shortened(name, _TIE)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
