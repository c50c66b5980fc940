"""``cgaps score``, ``compare`` and ``check``: other models, and other draws, of a run's items; none needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_json, print_line
from competency_gaps.util.errors import UserError

REGRESSION = 3
"""Exit status of a comparison with a regression, where ``--fail-on regression`` asks for it."""
NOT_COMPARABLE = 4


def score(
    run: shared.RunArgument,
    scores: shared.ScoresOption = None,
    log: shared.LogOption = None,
    as_: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name for the log's model; default: the log's own.")
    ] = None,
    metric: shared.MetricOption = None,
    scorer: shared.ScorerOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace scores that were added earlier.")] = False,
    json_: shared.JsonOption = False,
) -> None:
    """Add other models' scores on a run's items, and list the models."""
    from competency_gaps import open_run
    from competency_gaps.items.records import named_path
    from competency_gaps.pipeline.logs import matched_line
    from competency_gaps.view.terminal import models

    opened = open_run(run)
    if not scores and not log:
        raise UserError("give --scores with a table of scores, or --log with another tool's log.")
    added = []
    for text in scores or []:
        benchmark, path = named_path(text)
        added += opened.add_scores(path, benchmark=benchmark, replace=replace)
    for text in log or []:
        benchmark, path = named_path(text)
        options = {"model": as_, "metric": metric, "scorer": scorer}
        added += opened.add_log(path, benchmark=benchmark, replace=replace, **options)
    if json_:
        print_json({"run": str(opened.path), "added": [vars(one_model) for one_model in added]})
        return
    for counts in added:
        print_line(matched_line(counts))
    Console().print(models.models_view(opened))


def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="A B | RUN A B",
            help="Candidate and baseline: two runs, two logs, or a run and two of its models.",
        ),
    ],
    min_effect: Annotated[
        float, typer.Option(min=0, max=0.99, help="Ignore a difference unless its whole interval lies beyond this.")
    ] = 0.0,
    fail_on: Annotated[
        Literal["regression"] | None,
        typer.Option(metavar="regression", help="Exit with 3 on a loss, with 4 if the data cannot tell."),
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a one-screen summary to this file.")] = None,
    json_: shared.JsonOption = False,
) -> None:
    """Compare two models item by item: what got better, what got worse?"""
    import competency_gaps as cg
    from competency_gaps.view.terminal import compare as view

    if len(what) not in (2, 3):
        raise UserError(f"expected two runs, two logs, or a run and two of its models, found {' '.join(what)!r}.")
    if len(what) == 3:
        comparison = cg.open_run(what[0]).compare(what[1], what[2], min_effect=min_effect)
    else:
        comparison = cg.compare(what[0], what[1], min_effect=min_effect)
    if markdown is not None:
        view.write_markdown(comparison, markdown)
    if json_:
        print_json(view.document(comparison))
    else:
        console = Console()
        console.print(view.comparison_view(comparison, width=console.width))
    if fail_on and comparison.verdict != "no regression":
        raise typer.Exit(REGRESSION if comparison.verdict == "regression" else NOT_COMPARABLE)


def check(
    run: shared.RunArgument,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second run on the same items: another SAE or layer, or a repeat."),
    ] = None,
    model: shared.OutcomeModelOption = None,
    against: shared.AgainstOption = None,
    quiet: shared.QuietOption = False,
    json_: shared.JsonOption = False,
) -> None:
    """Test whether a run's results hold on subsamples of its items, and in another run."""
    from competency_gaps.view.terminal.tables import verdict_table

    opened = shared.open_outcome(run, model, against)
    outcome = opened.check(against=other, progress=shared.terminal(quiet))
    if json_:
        print_json({"run": str(opened.path), **outcome})
        return
    Console().print(verdict_table(outcome["verdicts"]))
    if opened.report_file.is_file():
        print_line(f"Report: {opened.report_file.resolve()}")
