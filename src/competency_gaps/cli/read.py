"""``cgaps show`` and ``concept``: read a finished run; neither needs torch."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from competency_gaps.cli.options import (
    AgainstOption,
    AllKindsOption,
    JsonOption,
    OutcomeModelOption,
    RunArgument,
    open_outcome,
)
from competency_gaps.cli.output import print_json, print_line, run_document, terminal
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.presentation.rankings import Listing
    from competency_gaps.runs.open import Order, RunFolder

What = Literal["themes", "models", "model-themes", "model-groups", "items"]


def screen_lines() -> int:
    """Lines of the terminal but one, which the prompt takes; a terminal of unknown size counts as 24 lines."""
    return shutil.get_terminal_size((80, 24)).lines - 1


def show(
    run: RunArgument,
    finding: Annotated[int | None, typer.Option(min=0, help="Show this finding with its items.")] = None,
    theme: Annotated[int | None, typer.Option(help="Show this theme with its subthemes and concepts.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="List the concepts that stand out in this benchmark.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="List concepts by this column, lowest first; -COLUMN: highest first.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="List every concept, tested or not.")] = False,
    list_: Annotated[
        What | None,
        typer.Option(
            "--list",
            metavar="WHAT",
            help="themes, models, model-themes or model-groups (where a model stands out), or items (that look broken)",
        ),
    ] = None,
    model: OutcomeModelOption = None,
    against: AgainstOption = None,
    parsed: Annotated[
        bool,
        typer.Option(
            "--parsed", help="With --model: show where its answers could not be parsed, instead of its scores."
        ),
    ] = False,
    all_kinds: AllKindsOption = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows to show; by default one screen, with --json all.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show a run's findings, concepts, themes or models, worst first."""
    from competency_gaps.presentation.rankings import list_concepts
    from competency_gaps.report import models, screen

    if list_ not in (None, "themes"):
        _list_models(run, list_, against, json_=json_)
        return
    opened = open_outcome(run, model, against, parsed=parsed, all_kinds=all_kinds)
    listed = benchmark is not None or sort is not None or all_
    views = {"--list": list_, "--theme": theme, "--finding": finding, "--benchmark, --sort, --all": listed or None}
    asked = [name for name, value in views.items() if value is not None]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} show different things: give one of them.")
    if finding is not None:
        _show_finding(opened, finding, json_=json_)
    elif list_ is not None or theme is not None:
        _show_themes(opened, theme, limit, json_=json_)
    elif model is None and not listed and models.only_models(opened):
        _list_models(run, "models", None, json_=json_)
    elif json_:
        table = list_concepts(opened, benchmark=benchmark, sort=sort, every=all_).concepts
        answer = {} if listed else _answer(opened)
        rows = (table if limit is None else table.head(limit)).to_dicts()
        print_json({**run_document(opened), **answer, "benchmark": benchmark, "rows": rows})
    elif listed:
        _print_listing(list_concepts(opened, benchmark=benchmark, sort=sort, every=all_), limit)
    else:
        screen.print_overview(opened, Console(), lines=screen_lines(), limit=limit)


def _list_models(path: Path, what: What, against: list[str] | None, *, json_: bool) -> None:
    """Print the models of a run, on which themes or groups each stands out, or the items that look broken."""
    import polars as pl

    from competency_gaps import open_run
    from competency_gaps.report import models

    if against not in (None, [], ["peers"]):
        raise UserError(f"--list {what} compares all models: --against can be 'peers' alone.")
    opened, peers = open_run(path), bool(against)
    document: dict[str, Any]
    if what == "items":
        facts = opened.item_models()
        document, view = {"items": facts.to_dicts()}, models.items_of_models(facts)
    elif what == "models":
        document, view = {"models": opened.models.to_dicts()}, models.models_view(opened)
    else:
        find = opened.model_themes if what == "model-themes" else opened.model_groups
        cells = find(against_peers=peers, progress=terminal(quiet=json_))
        document = {"against_peers": peers, "cells": cells.to_dicts()}
        absent = opened.models.filter(~pl.col("model").is_in(cells["model"].implode()))["model"].to_list()
        view = models.cells_of_models(cells, against_peers=peers, absent=absent if peers else ())
    if json_:
        print_json({**run_document(opened), **document})
    else:
        Console().print(view)


def _show_finding(run: RunFolder, number: int, *, json_: bool) -> None:
    """Print a finding with items that it is about, failing and passing ones side by side."""
    from competency_gaps.findings import support
    from competency_gaps.findings.examples import shown_items
    from competency_gaps.report.finding import finding_view

    table = run.findings
    if number >= table.height:
        known = f"findings 0 to {table.height - 1}" if table.height else "none"
        raise UserError(f"finding {number} does not exist: {run.path} has {known}.")
    row = table.row(number, named=True)
    failing, passing = shown_items(run, row)
    basis = support(row, run.concepts)
    if not json_:
        Console().print(finding_view(row, basis, failing, passing))
        return
    items = {
        name: [{**vars(item), "prompt": [piece._asdict() for piece in item.prompt]} for item in side]
        for name, side in (("failing", failing), ("passing", passing))
    }
    print_json({"run": str(run.path), **row, "support": basis, **items})


def _answer(run: RunFolder) -> dict[str, Any]:
    """The answer and every finding of a run for JSON output."""
    from competency_gaps.findings.statements import answer, answer_dict

    return {"answer": answer_dict(answer(run)), "findings": run.findings.to_dicts()}


def _print_listing(listing: Listing, limit: int | None) -> None:
    from competency_gaps.report import screen

    if not listing.concepts.height:
        note = "no concept qualifies: --sort gap lists all that were tested, --all every concept"
        print_line(note, error=True)
    screen.print_listing(listing, Console(), lines=screen_lines(), limit=limit)


def _show_themes(run: RunFolder, theme: int | None, limit: int | None, *, json_: bool) -> None:
    """Print all themes, or one with its subthemes and concepts."""
    from competency_gaps.presentation.themes import asked_theme, read_run_themes
    from competency_gaps.report import screen

    themes = read_run_themes(run)
    if themes is None:
        raise UserError(
            f"the run {run.path} has no themes. Group the concepts of its dictionary with 'cgaps concepts themes', "
            "then put it on the run with 'cgaps concepts name'."
        )
    concepts = run.concepts.drop("tau", strict=False)
    if not json_:
        if theme is None:
            screen.print_themes(themes, Console(), lines=screen_lines(), limit=limit)
        else:
            screen.print_theme(themes, theme, concepts, Console(), lines=screen_lines(), limit=limit)
    elif theme is None:
        top = themes.themes if limit is None else themes.themes.head(limit)
        print_json({**run_document(run), "themes": top.to_dicts(), "subthemes": themes.subthemes.to_dicts()})
    else:
        row, own = asked_theme(themes, theme), themes.concepts(theme, concepts)
        children, own = themes.children(theme).to_dicts(), own if limit is None else own.head(limit)
        print_json({**run_document(run), "theme": row, "subthemes": children, "rows": own.to_dicts()})


def concept(
    run: RunArgument,
    asked: Annotated[list[str], typer.Argument(metavar="ID|WORDS", help="A concept's number, or words of its label.")],
    model: OutcomeModelOption = None,
    against: AgainstOption = None,
    all_kinds: AllKindsOption = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Items of each kind (3), or concepts with these words (one screen).")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show one concept with its items, or find concepts by words of their labels."""
    from competency_gaps.presentation.rankings import list_concepts
    from competency_gaps.report import screen

    opened = open_outcome(run, model, against, all_kinds=all_kinds)
    words = " ".join(asked)
    if re.fullmatch(r"[0-9]{1,18}", words):
        _show_concept(opened, int(words), limit or 3, json_=json_)
        return
    listing = list_concepts(opened, words=words)
    first = int(listing.concepts["concept"][0])
    if listing.concepts.height == 1:
        _show_concept(opened, first, limit or 3, json_=json_)
    elif json_:
        print_json({"find": words, "rows": listing.concepts.to_dicts()})
    else:
        command = shlex.join(["cgaps", "concept", str(run), *asked])
        more = f"Show one: {shlex.join(['cgaps', 'concept', str(run), str(first)])}"
        screen.print_listing(listing, Console(), lines=screen_lines(), limit=limit, command=command, more=more)


def _show_concept(run: Run, number: int, limit: int, *, json_: bool) -> None:
    """Print a concept's rows and items."""
    import polars as pl

    from competency_gaps.presentation.themes import read_run_themes
    from competency_gaps.report.concept import concept_panel

    run.check_concept(number)
    if not json_:
        console = Console()
        console.print(concept_panel(run, number, examples=limit, width=console.width))
        return
    themes = read_run_themes(run)
    orders: tuple[Order, ...] = ("strongest", "best", "worst")
    items = {order: run.concept_items(number, order=order, limit=limit).to_dicts() for order in orders}
    print_json(
        {
            **run.concepts.row(number, named=True),
            **({} if themes is None else {"themes": themes.of_concept(number)}),
            "benchmarks": run.concept_benchmarks.filter(pl.col("concept") == number).drop("concept").to_dicts(),
            "items": items,
        }
    )
