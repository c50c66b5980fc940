"""``cgaps coverage`` and ``match``: what the items of a run are about and do not test, and other people's lists."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.cli.shared import (
    JsonOption,
    QuietOption,
    RunArgument,
    SourceArgument,
    open_source,
    print_json,
    terminal,
)


def coverage(
    run: SourceArgument,
    benchmark: Annotated[str | None, typer.Option(help="Show only this benchmark.")] = None,
    describe: Annotated[
        str | None, typer.Option(help="What it is meant to test; default: its 'scope' in the configuration.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows per list.")] = 6,
    json_: JsonOption = False,
) -> None:
    """Show what the items cover and what they miss, by region of the atlas."""
    from competency_gaps.view.coverage_words import coverage_answer, coverage_words
    from competency_gaps.view.terminal.coverage import coverage_view

    opened = open_source(run)
    report = opened.coverage(benchmark, describe)
    if json_:
        words = {"answer": coverage_answer(report), "words": coverage_words(report)}
        print_json({"run": str(run), **words, **asdict(report)})
    else:
        console = Console()
        console.print(coverage_view(report, opened.shown_path, limit, console.width, describe))


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
    from competency_gaps.view.terminal.match import matching_view

    matching = open_run(run).match(list_, model=model, against=against, progress=terminal(quiet))
    if json_:
        print_json({"run": str(run), **asdict(matching)})
    else:
        Console().print(matching_view(matching, limit))
