"""Commands on finished runs: ``score``, ``compare``, ``check``, ``coverage`` and ``match``; none needs torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_line, print_result
from competency_gaps.util.errors import UserError

REGRESSION = 3
"""Exit status of a comparison with a regression, if ``--fail-on regression`` asks for it."""
NOT_COMPARABLE = 4


def score(
    run: shared.RunArgument,
    scores: shared.ScoresOption = None,
    log: shared.LogOption = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name for the log's model; default: the log's own.")
    ] = None,
    metric: shared.MetricOption = None,
    scorer: shared.ScorerOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace scores that were added earlier.")] = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Add other models' scores on a run's items, and list the models."""
    from competency_gaps import open_run
    from competency_gaps.items.records import named_path
    from competency_gaps.pipeline.logs import matched_line
    from competency_gaps.view.terminal.models import models_view

    opened = open_run(run)
    if not scores and not log:
        raise UserError("give --scores with a table of scores, or --log with another tool's log.")
    added = []
    for text in scores or []:
        benchmark, path = named_path(text)
        added += opened.add_scores(path, benchmark=benchmark, replace=replace)
    for text in log or []:
        benchmark, path = named_path(text)
        options = {"model": name, "metric": metric, "scorer": scorer}
        added += opened.add_log(path, benchmark=benchmark, replace=replace, **options)
    for counts in added if not as_json else ():
        print_line(matched_line(counts))
    document = {"run": str(opened.path), "added": [vars(counts) for counts in added]}
    print_result(lambda: document, lambda _: models_view(opened), as_json)


def compare(
    sources: Annotated[
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
    as_json: shared.JsonOption = False,
) -> None:
    """Compare two models item by item: what got better, what got worse?"""
    import competency_gaps as cg
    from competency_gaps.view.terminal import compare as report

    if len(sources) == 2:
        comparison = cg.compare(*sources, min_effect=min_effect)
    elif len(sources) == 3:
        comparison = cg.open_run(sources[0]).compare(sources[1], sources[2], min_effect=min_effect)
    else:
        raise UserError(f"expected two runs, two logs, or a run and two of its models, found {' '.join(sources)!r}.")
    if markdown is not None:
        report.write_markdown(comparison, markdown)
    print_result(
        lambda: report.document(comparison), lambda width: report.comparison_view(comparison, width=width), as_json
    )
    if fail_on and comparison.verdict != "no regression":
        raise typer.Exit(REGRESSION if comparison.verdict == "regression" else NOT_COMPARABLE)


def check(
    run: shared.RunArgument,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="A second run on the same items: another SAE or layer, or a repeat."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Show results for one of the run's models.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL|peers",
            help="With --model: subtract this model's scores, or its peers' (models at its level); repeatable.",
        ),
    ] = None,
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Test whether a run's results hold on subsamples of its items, and in another run."""
    from competency_gaps.view.robustness_words import in_words
    from competency_gaps.view.terminal.tables import verdict_table

    opened = shared.as_outcome(shared.open_source(run), model, against)
    figures = opened.check(against=other, progress=shared.terminal(quiet))
    verdicts = [in_words(verdict) for verdict in figures["verdicts"]]
    figures = {"run": str(opened.path), **figures, "verdicts": verdicts}
    print_result(lambda: figures, lambda _: verdict_table(verdicts), as_json)
    if not (opened.tables or as_json):
        print_line(f"Report: {opened.report_file.resolve()}")


def coverage(
    run: shared.SourceArgument,
    benchmark: Annotated[str | None, typer.Option(help="Show only this benchmark.")] = None,
    describe: shared.DescribeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows per list.")] = 6,
    as_json: shared.JsonOption = False,
) -> None:
    """Show what the items cover and what they miss, by region of the atlas."""
    from competency_gaps.view.coverage_words import coverage_answer, coverage_words
    from competency_gaps.view.terminal.coverage import coverage_view

    opened = shared.open_source(run)
    report = opened.coverage(benchmark, describe)
    words = {"answer": coverage_answer(report), "words": coverage_words(report)}
    print_result(
        lambda: {"run": str(run), **words, **asdict(report)},
        lambda width: coverage_view(report, opened.shown_path, limit, width, describe),
        as_json,
    )


def match(
    run: shared.RunArgument,
    entries: Annotated[
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
    quiet: shared.QuietOption = False,
    as_json: shared.JsonOption = False,
) -> None:
    """Check a list of known weaknesses against a run: which does it recover, and what does the list miss?"""
    from competency_gaps import open_run
    from competency_gaps.view.terminal.match import matching_view

    matching = open_run(run).match(entries, model=model, against=against, progress=shared.terminal(quiet))
    print_result(lambda: {"run": str(run), **asdict(matching)}, lambda _: matching_view(matching, limit), as_json)
