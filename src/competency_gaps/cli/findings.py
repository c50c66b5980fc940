"""``cgaps findings``: what stands out in a run, with its items. Needs no torch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Column, Table
from rich.text import Text

from competency_gaps.cli.options import JsonOption, QuietOption, RunArgument
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.errors import UserError
from competency_gaps.runs.open import RunFolder, open_folder
from competency_gaps.text import plural, shorten, signed, visible

if TYPE_CHECKING:
    from competency_gaps.findings.examples import ShownItem

PROMPT_LIMIT = 400
ANSWER_LIMIT = 120
SHORT_CONSTANT = 24
"""Longest constant part that is shown whole, in characters."""


def findings(
    run: RunArgument,
    number: Annotated[int | None, typer.Argument(min=0, help="One finding, by its number in the list.")] = None,
    make: Annotated[bool, typer.Option("--make", help="Compute them again from the run's tables.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """List a run's findings, the most important first, or show one with its items."""
    import competency_gaps as cg

    progress = terminal(quiet)
    if make:
        cg.open_run(run).make_findings(progress=progress)
    opened = open_folder(run)
    if number is not None:
        _show(opened, number, json_=json_)
    elif json_:
        print_json({"run": str(run), "findings": [_document(opened, row) for row in opened.findings.to_dicts()]})
    else:
        _print_list(opened)


def _document(run: RunFolder, row: dict[str, Any]) -> dict[str, Any]:
    from competency_gaps.findings import support
    from competency_gaps.findings.examples import probe_arguments

    return {**row, "support": support(row, run.concepts), "command": shlex.join(probe_arguments(run, row))}


def _print_list(run: RunFolder) -> None:
    from competency_gaps.findings.words import again

    table = run.findings
    if not table.height:
        print_line("No finding: no concept is weak or strong ('cgaps show' says what could have been seen).")
        return
    shown = Table(
        "",
        "",
        Column("finding", overflow="fold"),
        "items",
        "gap",
        "95% interval",
        Column("half-samples", overflow="fold"),
        box=None,
    )
    for row in table.iter_rows(named=True):
        cells = [
            str(row["finding"]),
            row["verdict"],
            visible(row["sentence"]),
            f"{row['clusters']:,}",
            signed(row["gap"]),
            f"{signed(row['gap_low'])} to {signed(row['gap_high'])}",
            again(row),
        ]
        shown.add_row(*(Text(cell) for cell in cells))
    Console().print(shown)
    print_line(f"\nOne with its items: {shlex.join(['cgaps', 'findings', str(run.path), 'N'])}")


def _show(run: RunFolder, number: int, *, json_: bool) -> None:
    from competency_gaps.findings import support
    from competency_gaps.findings.examples import probe_arguments, shown_items

    table = run.findings
    if number >= table.height:
        raise UserError(f"finding {number} does not exist: {run.path} has {table.height:,}, numbered from 0.")
    row = table.row(number, named=True)
    failing, passing = shown_items(run, row)
    if json_:
        items = {
            name: [{**vars(item), "prompt": [piece._asdict() for piece in item.prompt]} for item in side]
            for name, side in (("failing", failing), ("passing", passing))
        }
        print_json({"run": str(run.path), **_document(run, row), **items})
        return
    print_line(f"{row['verdict'].capitalize()}. {visible(row['sentence'])}")
    print_line(f"\n{visible(support(row, run.concepts))}\n")
    sides = Table(Column("fails", ratio=1, overflow="fold"), Column("passes", ratio=1, overflow="fold"), expand=True)
    for i in range(max(len(failing), len(passing))):
        sides.add_row(*(_cell(side[i]) if i < len(side) else Text("") for side in (failing, passing)), end_section=True)
    Console().print(sides)
    print_line(f"Test it on fresh items: {shlex.join(probe_arguments(run, row))}")


def _cell(item: ShownItem) -> Group:
    """An item in a terminal; parts that all prompts of its benchmark share are dim and short."""
    prompt, left = Text(), PROMPT_LIMIT
    for piece in item.prompt:
        text = visible(piece.text)
        if piece.is_constant:
            prompt.append(text if len(text) <= SHORT_CONSTANT else " … ", style="dim")
        elif left > 0:
            prompt.append(shorten(text, left))
            left -= len(text)
    lines = [Text(visible(f"{item.benchmark} {item.item_id}"), style="dim"), prompt]
    if item.choices is not None:
        lines.append(Text("options: " + shorten(visible(" | ".join(item.choices)), ANSWER_LIMIT)))
    for name, value in (("expected", item.answer), ("response", item.response)):
        if value is not None:
            lines.append(Text(f"{name}: {shorten(visible(value), ANSWER_LIMIT)}"))
    if item.repeats > 1:
        lines.append(Text(f"one of {plural(item.repeats, 'repeat')}", style="dim"))
    return Group(*lines)
