"""``cgaps show``: the answer of a finished run, one of its slices or concepts, or a list; none needs torch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console, RenderableType

from competency_gaps.cli import shared
from competency_gaps.cli.shared import print_json, print_line, print_result
from competency_gaps.util.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.findings.finding import Answer
    from competency_gaps.runs.open import Order

Listing = Literal["slices", "concepts", "models"]


def show(
    run: shared.SourceArgument,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="One of the run's models; default: the only one.")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="peers|benchmark|MODEL",
            help="Compare with its peers (models at its level; the default if there are two), its own average, or "
            "another model; several models serve as peers.",
        ),
    ] = None,
    parsed: Annotated[
        bool, typer.Option("--parsed", help="Show where answers could not be parsed, instead of scores.")
    ] = False,
    slice_name: Annotated[
        str | None,
        typer.Option(
            "--slice",
            metavar="N|NAME",
            help="Show line N of the answer with its items; of several models: their scores on a slice.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Show all models' scores by a column's categories: who is best at what?"),
    ] = None,
    concept: Annotated[
        str | None, typer.Option(metavar="N|WORDS", help="Show concept N, or find concepts by words in their labels.")
    ] = None,
    listing: Annotated[
        Listing | None,
        typer.Option("--list", metavar="WHAT", help="List all slices, concepts or models."),
    ] = None,
    caveats: Annotated[bool, typer.Option("--caveats", help="Show what could overturn the answer.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows per list; default: what fits, and all with --json.")
    ] = None,
    as_json: shared.JsonOption = False,
) -> None:
    """Show where a model is weak and strong: one list of slices, worst first."""
    from competency_gaps.runs.scores import model_scores
    from competency_gaps.view.terminal.answer import caveats_view
    from competency_gaps.view.terminal.models import models_view

    views = {"--slice": slice_name, "--by": by, "--concept": concept, "--list": listing, "--caveats": caveats or None}
    chosen = [option for option, value in views.items() if value is not None]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} cannot be combined: give one of them.")
    opened = shared.open_source(run)
    outcome: dict[str, Any] = {"model": model, "against": shared.one_or_several(against), "parsed": parsed}
    if concept is not None or listing == "concepts":
        opened.check_reading("A list of concepts")
        names = [name for name in against or () if name != "benchmark"]
        _show_concepts(shared.as_outcome(opened, model, names, parsed), concept, outcome, limit, as_json)
        return
    scored = len(model_scores(opened).models)
    several = model is None and scored > 1
    if listing == "models" or by is not None or (slice_name is not None and several):
        options = {"MODEL": model, "--against": against, "--parsed": parsed}
        if unused := [name for name, value in options.items() if value]:
            raise UserError(f"{chosen[0]} here shows all models: leave out {' and '.join(unused)}.")
        if listing == "models":
            _print(opened, lambda: {"models": opened.models.to_dicts()}, lambda _: models_view(opened), as_json)
        else:
            _show_scores(opened, by, slice_name, limit, as_json)
    elif not scored:
        if as_json:
            print_json({"run": str(opened.shown_path), "answer": None, "coverage": asdict(opened.coverage())})
        else:
            print_unscored(opened)
    elif several and (chosen or parsed):
        option = "--parsed" if parsed else chosen[0]
        raise UserError(f"{option} needs one model: name it, as in 'cgaps show {run} MODEL'.")
    elif not chosen:
        for version in _with_text_slices(opened, as_json):
            if several:
                _show_models(version, outcome["against"], limit, as_json)
            else:
                _show_answer(version, version.answer(**outcome), limit, as_json)
    else:
        answer = opened.answer(**outcome)
        if slice_name is not None:
            _show_slice(opened, answer, slice_name, as_json)
        elif listing == "slices":
            _list_slices(opened, answer, limit, as_json)
        elif as_json:
            _show_answer(opened, answer, None, as_json)
        else:
            Console().print(caveats_view(answer))


def print_run(run: Run, *, as_json: bool) -> None:
    """Print a new run's answer and the path of its report."""
    if as_json:
        print_json({**_run_document(run), "report": str(run.report_file)})
        return
    if run.models.height > 1:
        _show_models(run, None, None, as_json=False)
    elif run.models.height:
        _show_answer(run, run.answer(run.models["model"][0]), None, as_json=False)
    else:
        print_unscored(run)
    if run.report_file.is_file():  # without a built page there is none
        print_line(f"\nReport: {run.report_file.resolve()}")


def print_demo(run: Run) -> None:
    """Print the demo's findings as sentences with bars, and what to do next."""
    from competency_gaps.findings.items import detail
    from competency_gaps.view.terminal.answer import answer_picture
    from competency_gaps.view.words import pictured

    answer, console = run.answer(), Console()
    failing = [item for finding in pictured(answer)[:1] for item in detail(run, answer, finding).failing]
    console.print(answer_picture(answer, next(iter(failing), None), console.width))
    print_line("")
    if run.report_file.is_file():  # without a built page there is none
        print_line(f"Open in a browser: {run.report_file.resolve()}")
    print_line(
        f"All findings: cgaps show {run.shown_path}. Your own model: cgaps sae MODEL, or its logs: cgaps show LOGS."
    )


def print_unscored(run: Run, limit: int = 6) -> None:
    """Print what the items of a run without scores do not test."""
    from competency_gaps.view.terminal.coverage import coverage_view
    from competency_gaps.view.words import UNSCORED, short_name

    print_line(f"{short_name(run.scored_model)}: {UNSCORED}")
    console = Console()
    console.print(coverage_view(run.coverage(), run.shown_path, limit, console.width))


def screen_lines() -> int:
    """Return the number of lines of the terminal less one for the prompt; 23 if its size is unknown."""
    return shutil.get_terminal_size((80, 24)).lines - 1


def _print(
    run: Run, document: Callable[[], dict[str, Any]], view: Callable[[int], RenderableType], as_json: bool
) -> None:
    print_result(lambda: {"run": str(run.shown_path), **document()}, view, as_json)


def _run_document(run: Run) -> dict[str, Any]:
    """Return a run's main figures for JSON."""
    from competency_gaps.concepts.kinds import kind_counts

    concepts = run.concepts
    alive = concepts["alive"].sum()
    return {
        "run": str(run.shown_path),
        "benchmarks": run.benchmarks.to_dicts(),
        "concepts": {
            "width": run.width,
            "alive": alive,
            "missing": (concepts["alive"] & concepts["missing"]).sum(),
            "ranked": concepts["ranked"].sum(),
            "kinds": kind_counts(concepts),
        },
        "evidence": run.manifest["evidence"],
        "gate": run.manifest["gate"],
    }


def _with_text_slices(run: Run, as_json: bool) -> Iterator[Run]:
    """Yield a run; for logs, first the run as it is, and then the run with clusters of similar texts."""
    from competency_gaps.api.run import Run
    from competency_gaps.model.embed import NoModelError
    from competency_gaps.pipeline.without_reading import add_text_slices
    from competency_gaps.util.errors import MissingExtraError

    if not as_json or "logs" not in run.manifest:
        yield run
    if "logs" not in run.manifest:
        return
    try:
        clustered = add_text_slices(run, shared.terminal(quiet=False))
    except (MissingExtraError, NoModelError) as error:
        print_line(f"\nNo clusters of like texts: {error}", error=True)
        clustered = None
    if clustered is not None and not as_json:
        print_line("")
    if clustered is not None:
        yield Run(clustered.path, clustered.manifest)
    elif as_json:
        yield run


def _show_answer(run: Run, answer: Answer, limit: int | None, as_json: bool) -> None:
    """Print where one model is weak and strong, with at most ``limit`` findings on each side."""
    from competency_gaps.findings.items import example_texts
    from competency_gaps.view.terminal.answer import answer_view
    from competency_gaps.view.words import SIDE, answer_words

    examples = example_texts(run, answer.findings)
    _print(
        run,
        lambda: {"answer": asdict(answer), "examples": examples, "words": answer_words(answer)},
        lambda width: answer_view(answer, examples, width, limit or SIDE),
        as_json,
    )


def _show_models(run: Run, against: Any, limit: int | None, as_json: bool) -> None:
    """Print the models of a run with their weakest and strongest slices, and the slices on which models differ."""
    from competency_gaps.view.terminal.models import models_page

    slices, answers = run.model_slices(against=against), run.answers(against)
    _print(
        run,
        lambda: {
            "models": run.models.to_dicts(),
            "slices": slices.slices.to_dicts(),
            "cells": slices.cells.to_dicts(),
            "answers": {model: asdict(answer) for model, answer in answers.items()},
        },
        lambda width: models_page(answers, slices, width, limit),
        as_json,
    )


def _show_scores(run: Run, by: str | None, slice_name: str | None, limit: int | None, as_json: bool) -> None:
    """Print the scores of all models on the categories of a column, or on one slice."""
    from competency_gaps.view.terminal.models import best_view, scores_view

    table = run.scores_on(str(slice_name)) if by is None else run.scores_by(by)

    def view(width: int) -> RenderableType:
        return scores_view(table, run.model_slices(), limit) if by is None else best_view(table, by, width, limit)

    _print(run, lambda: {"scores": table.to_dicts()}, view, as_json)


def _show_slice(run: Run, answer: Answer, line: str, as_json: bool) -> None:
    """Print one finding with its items."""
    from competency_gaps.findings.items import detail
    from competency_gaps.view.terminal.answer import finding_view

    finding = next((finding for finding in answer.findings if line in (str(finding.number), finding.name)), None)
    if finding is None:
        raise UserError(f"the answer has no line {line}: expected 1 to {len(answer.findings)}.")
    details = detail(run, answer, finding)
    document = {"finding": asdict(finding), **asdict(details)}
    _print(run, lambda: document, lambda _: finding_view(answer, finding, details), as_json)


def _list_slices(run: Run, answer: Answer, limit: int | None, as_json: bool) -> None:
    """Print all slices with their gaps, the lowest first."""
    from competency_gaps.findings.answer import slice_table
    from competency_gaps.findings.items import against_of
    from competency_gaps.view.terminal.tables import slices_view

    table = slice_table(run, answer.model, against_of(answer), parsed=answer.kind == "parsed")
    table = table.sort("gap", "slice", nulls_last=True)
    shown = table if limit is not None else table.filter(table["family"] != "concepts")
    _print(
        run,
        lambda: {"slices": table.head(limit or table.height).to_dicts()},
        lambda _: slices_view(shown, min(limit or screen_lines() - 3, shown.height)),
        as_json,
    )


def _show_concepts(run: Run, query: str | None, outcome: dict[str, Any], limit: int | None, as_json: bool) -> None:
    """Print one concept with its items, or list the concepts whose labels match, or the most notable ones."""
    from competency_gaps.view.columns import list_concepts
    from competency_gaps.view.terminal.tables import print_listing

    if query is not None and re.fullmatch(r"[0-9]{1,18}", query):
        _show_concept(run, int(query), outcome, limit or 3, as_json)
        return
    table = list_concepts(run, query)
    concepts = table[0]
    if query is not None and concepts.height == 1:
        _show_concept(run, int(concepts["concept"][0]), outcome, limit or 3, as_json)
    elif as_json:
        print_json({**_run_document(run), "find": query, "rows": concepts.head(limit or concepts.height).to_dicts()})
    else:
        if not concepts.height:
            print_line("no concept stands out; --json lists them all", error=True)
        print_listing(table, Console(), lines=screen_lines(), limit=limit)


def _show_concept(run: Run, number: int, outcome: dict[str, Any], limit: int, as_json: bool) -> None:
    """Print a concept's rows and items, and the gap of its slice for an outcome."""
    from competency_gaps.findings.answer import concept_slice
    from competency_gaps.view.terminal.tables import concept_view, region_path
    from competency_gaps.view.words import gap_of

    run.check_concept(number)
    of_slice = concept_slice(run, number, **outcome)
    orders: tuple[Order, ...] = ("strongest", "best", "worst")
    print_result(
        lambda: {
            **run.concepts.row(number, named=True),
            "slice": of_slice and of_slice[0],
            "regions": region_path(run, number),
            "benchmarks": run.concept_benchmarks.filter(concept=number).drop("concept").to_dicts(),
            "items": {order: run.concept_items(number, order=order, limit=limit).to_dicts() for order in orders},
        },
        lambda _: concept_view(run, number, of_slice and gap_of(*of_slice), limit),
        as_json,
    )
