"""``cgaps match``: other people's lists beside a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from competency_gaps.cli.shared import JsonOption, QuietOption, RunArgument, print_json, print_line, terminal
from competency_gaps.text import integer, plural, signed, visible

if TYPE_CHECKING:
    from competency_gaps.matching import Matched, Matching, Rate

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

    found = open_run(run).match(list_, model=model, against=against, progress=terminal(quiet))
    if json_:
        print_json({"run": str(run), **asdict(found)})
    else:
        print_matching(found, limit)


def print_matching(found: Matching, limit: int) -> None:
    """Print the rates beside chance, the entries, and what the list lacks."""
    from competency_gaps.findings.words import see_all

    print_line(f"{plural(len(found.entries), 'entry').replace('entrys', 'entries')}, {_HOW[found.how]}:")
    for rate in found.rates:
        print_line(f"  {_rate(rate)}")
    measured = any(entry.association is not None for entry in found.entries)
    entries, slices = Column("entry", overflow="fold", ratio=2), Column("matching slices", overflow="fold", ratio=3)
    figures = [Column(name, justify="right", no_wrap=True) for name in ("association", "items") if measured]
    table = Table(entries, *figures, slices, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown = [entry for entry in found.entries if entry.outcome != "few" or entry.association is not None]
    for entry in shown[:limit]:
        table.add_row(*_cells(entry, measured))
    if shown:
        print_line("")
        Console().print(table, markup=False)
    if len(shown) > limit:
        print_line(f"To see {see_all(len(shown), 'entries')}.")
    if len(shown) < len(found.entries):
        print_line(f"Not compared, with fewer than 6 examples: {integer(len(found.entries) - len(shown))}.")
    if found.lacks:
        names = "; ".join(f"{_cut(own.name, _NAME)} ({signed(100 * own.gap, 0)})" for own in found.lacks)
        print_line(f"\nIn the model's answer, but not on the list: {names}.")


def _rate(rate: Rate) -> str:
    chance = ""
    if rate.chance is not None and rate.most is not None:
        chance = f"; by chance {rate.chance:.1f}, up to {rate.most:.0f}"
    return f"{_WORDS[rate.what]}: {integer(rate.count)} of {integer(rate.of)}{chance}"


def _cells(entry: Matched, measured: bool) -> Sequence[str]:
    name = visible(_cut(entry.name, _NAME))
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
    return f"{_cut(name, _TIE)} ({facts})" if facts else _cut(name, _TIE)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"
