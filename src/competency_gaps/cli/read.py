"""``cgaps show``: the answer of a finished run, one of its slices or concepts, or a list; none needs torch."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from competency_gaps.cli import shared
from competency_gaps.cli.shared import open_outcome, open_source, print_json, print_line, run_document, terminal
from competency_gaps.util.errors import UserError, argument

if TYPE_CHECKING:
    from competency_gaps.api.run import Against, Run
    from competency_gaps.findings.finding import Answer
    from competency_gaps.runs.open import Order

What = Literal["slices", "concepts", "models"]


def screen_lines() -> int:
    """Lines of the terminal but one, which the prompt takes; a terminal of unknown size counts as 24 lines."""
    return shutil.get_terminal_size((80, 24)).lines - 1


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
    slice_: Annotated[
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
    list_: Annotated[
        What | None,
        typer.Option("--list", metavar="WHAT", help="List all slices, concepts or models."),
    ] = None,
    caveats: Annotated[bool, typer.Option("--caveats", help="Show what could overturn the answer.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rows per list; default: what fits, and all with --json.")
    ] = None,
    json_: shared.JsonOption = False,
) -> None:
    """Show where a model is weak and strong: one list of slices, worst first."""
    from competency_gaps.runs.scores import model_scores

    asked = {"--slice": slice_, "--by": by, "--concept": concept, "--list": list_, "--caveats": caveats or None}
    chosen = [name for name, value in asked.items() if value is not None]
    beside = against[0] if against and len(against) == 1 else against or None
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} cannot be combined: give one of them.")
    if concept is not None or list_ == "concepts":
        open_source(run).check_reading("A list of concepts")
        opened = open_outcome(run, model, [name for name in against or () if name != "benchmark"], parsed=parsed)
        _show_concepts(opened, concept, {"model": model, "against": beside, "parsed": parsed}, limit, json_=json_)
        return
    opened = open_source(run)
    if list_ == "models":
        of_one = {"MODEL": model, "--against": against, "--parsed": parsed}
        if ignored := [name for name, value in of_one.items() if value]:
            raise UserError(f"--list models shows all models: leave out {' and '.join(ignored)}.")
        if json_:
            print_json({"run": str(opened.shown_path), "models": opened.models.to_dicts()})
        else:
            from competency_gaps.view.terminal.models import models_view

            Console().print(models_view(opened))
        return
    several = len(model_scores(opened).models)
    if by is not None or (slice_ is not None and model is None and several > 1):
        if model is not None or against or parsed:
            raise UserError("--by shows the scores of all models: leave out MODEL, --against and --parsed.")
        _show_scores(opened, by, slice_, limit, json_=json_)
        return
    if not several:
        if json_:
            print_json({"run": str(opened.shown_path), "answer": None, "coverage": asdict(opened.coverage())})
        else:
            print_unscored(opened)
        return
    if model is None and several > 1 and (list_ == "slices" or caveats or parsed):
        asked_of = "--parsed" if parsed else chosen[0]
        raise UserError(f"{asked_of} needs one model: name it, as in 'cgaps show {run} MODEL'.")
    if not chosen:
        if model is None and several > 1:
            _show_with_texts(opened, lambda run_: _show_models(run_, beside, limit, json_=json_), json_=json_)
        else:
            _show_with_texts(opened, lambda run_: _show_answer(run_, model, beside, parsed, limit, json_), json_=json_)
        return
    answer = opened.answer(model, beside, parsed=parsed)
    if slice_ is not None:
        _show_slice(opened, answer, slice_, json_=json_)
    elif list_ == "slices":
        _list_slices(opened, answer, limit, json_=json_)
    elif json_:
        _print_answer_json(opened, answer)
    else:
        from competency_gaps.view.terminal.answer import caveats_view

        Console().print(caveats_view(answer))


def print_run(run: Run, *, json_: bool) -> None:
    """Print a new run's answer, and where its report is."""
    if json_:
        print_json({**run_document(run), "report": str(run.report_file)})
        return
    if run.models.height > 1:
        _show_models(run, None, None, json_=False)
    elif run.models.height:
        print_answer(run, run.answer(run.models["model"][0]))
    else:
        print_unscored(run)
    if run.report_file.is_file():  # a checkout whose page was not built has none
        print_line(f"\nReport: {run.report_file.resolve()}")


def print_demo(run: Run) -> None:
    """Print what the demo found, in sentences with bars, and what to open."""
    from competency_gaps.findings.items import detail
    from competency_gaps.view.terminal.answer import answer_picture
    from competency_gaps.view.words import pictured

    answer, console = run.answer(), Console()
    failing = [item for finding in pictured(answer)[:1] for item in detail(run, answer, finding).failing]
    console.print(answer_picture(answer, next(iter(failing), None), console.width))
    print_line("")
    if run.report_file.is_file():  # a checkout whose page was not built has none
        print_line(f"Open in a browser: {run.report_file.resolve()}")
    print_line(
        f"All findings: cgaps show {run.shown_path}. Your own model: cgaps sae MODEL, or its logs: cgaps show LOGS."
    )


def print_answer(run: Run, answer: Answer, limit: int | None = None) -> None:
    """Print an answer, so many findings of each side."""
    from competency_gaps.findings.items import example_texts
    from competency_gaps.view.terminal.answer import answer_view
    from competency_gaps.view.words import SIDE

    console = Console()
    console.print(answer_view(answer, example_texts(run, answer.findings), console.width, limit or SIDE))


def print_unscored(run: Run, limit: int = 6) -> None:
    """Print what a run without scores says: what its items do not test."""
    from competency_gaps.view.terminal.coverage import coverage_view
    from competency_gaps.view.words import UNSCORED, short_name

    print_line(f"{short_name(run.scored_model)}: {UNSCORED}")
    console = Console()
    console.print(coverage_view(run.coverage(), run.shown_path, limit, console.width))


def _show_with_texts(run: Run, show: Callable[[Run], None], *, json_: bool) -> None:
    """Print the answer of a run; of logs at first that of columns and features, then that of like texts, too."""
    from competency_gaps.api.run import Run
    from competency_gaps.model.embed import NoModelError
    from competency_gaps.pipeline.without_reading import add_text_slices
    from competency_gaps.util.errors import MissingExtraError

    if "logs" not in run.manifest:
        show(run)
        return
    if not json_:
        show(run)
    try:
        with_texts = add_text_slices(run, terminal(quiet=False))
    except (MissingExtraError, NoModelError) as error:
        print_line(f"\nNo clusters of like texts: {error}", error=True)
        with_texts = None
    if with_texts is not None and not json_:
        print_line("")
    if with_texts is not None or json_:
        show(Run(with_texts.path, with_texts.manifest) if with_texts is not None else run)


def _show_answer(run: Run, model: str | None, beside: Against, parsed: bool, limit: int | None, json_: bool) -> None:
    """Print where one model is weak and strong."""
    answer = run.answer(model, beside, parsed=parsed)
    if json_:
        _print_answer_json(run, answer)
    else:
        print_answer(run, answer, limit)


def _print_answer_json(run: Run, answer: Answer) -> None:
    """Print an answer with examples and in words, as JSON."""
    from competency_gaps.findings.items import example_texts
    from competency_gaps.view.words import answer_words

    examples, words = example_texts(run, answer.findings), answer_words(answer)
    print_json({"run": str(run.shown_path), "answer": asdict(answer), "examples": examples, "words": words})


def _show_models(run: Run, against: Against, limit: int | None, *, json_: bool) -> None:
    """Print the models of a run with their extreme slices, and the slices that tell models apart."""
    from competency_gaps.view.terminal.models import models_page

    slices, answers = run.model_slices(against=against), run.answers(against)
    if json_:
        tables = {"models": run.models, "slices": slices.slices, "cells": slices.cells}
        lists = {model: asdict(answer) for model, answer in answers.items()}
        print_json(
            {"run": str(run.shown_path), **{name: table.to_dicts() for name, table in tables.items()}, "answers": lists}
        )
    else:
        console = Console()
        console.print(models_page(answers, slices, console.width, limit))


def _show_scores(run: Run, by: str | None, slice_: str | None, limit: int | None, *, json_: bool) -> None:
    """Print the scores of all models on the categories of a column, or on one slice."""
    from competency_gaps.view.terminal.models import best_view, scores_view

    table = run.scores_by(by) if by is not None else run.scores_on(str(slice_))
    if json_:
        print_json({"run": str(run.shown_path), "scores": table.to_dicts()})
    elif by is not None:
        Console().print(best_view(table, by, Console().width, limit))
    else:
        Console().print(scores_view(table, run.model_slices(), limit))


def _show_slice(run: Run, answer: Answer, line: str, *, json_: bool) -> None:
    """Print one finding with what lies behind it."""
    from competency_gaps.findings.items import detail
    from competency_gaps.view.terminal.answer import finding_view

    findings = [finding for finding in answer.findings if line in (str(finding.number), finding.name)]
    if not findings:
        raise UserError(f"the answer has no line {line}: expected 1 to {len(answer.findings)}.")
    behind = detail(run, answer, findings[0])
    if json_:
        print_json({"run": str(run.shown_path), "finding": asdict(findings[0]), **asdict(behind)})
    else:
        Console().print(finding_view(answer, findings[0], behind))


def _list_slices(run: Run, answer: Answer, limit: int | None, *, json_: bool) -> None:
    """Print all slices with their gaps, the lowest first."""
    from competency_gaps.findings.answer import slice_table
    from competency_gaps.findings.items import against_of
    from competency_gaps.view.terminal.tables import slices_view

    table = slice_table(run, answer.model, against_of(answer), parsed=answer.kind == "parsed")
    table = table.sort("gap", "slice", nulls_last=True)
    if json_:
        print_json({"run": str(run.shown_path), "slices": table.head(limit or table.height).to_dicts()})
        return
    chosen = table if limit is not None else table.filter(table["family"] != "concepts")
    count = min(limit or screen_lines() - 3, chosen.height)
    Console().print(slices_view(chosen, count))


def _show_concepts(run: Run, asked: str | None, outcome: dict[str, Any], limit: int | None, *, json_: bool) -> None:
    """Print one concept with its items, or list concepts: those whose labels have the words, or that stand out."""
    from competency_gaps.view.columns import list_concepts
    from competency_gaps.view.terminal.tables import print_listing

    if asked is not None and re.fullmatch(r"[0-9]{1,18}", asked):
        _show_concept(run, int(asked), outcome, limit or 3, json_=json_)
        return
    listing = list_concepts(run, asked)
    concepts = listing[0]
    if asked is not None and concepts.height == 1:
        _show_concept(run, int(concepts["concept"][0]), outcome, limit or 3, json_=json_)
        return
    if json_:
        rows = concepts if limit is None else concepts.head(limit)
        print_json({**run_document(run), "find": asked, "rows": rows.to_dicts()})
        return
    if not concepts.height:
        print_line("no concept stands out; --json lists them all", error=True)
    more = f"To see one: {argument('concept')} N."
    print_listing(listing, Console(), lines=screen_lines(), limit=limit, more=more)


def _show_concept(run: Run, number: int, outcome: dict[str, Any], limit: int, *, json_: bool) -> None:
    """Print a concept's rows and items, and the gap of its slice for an outcome."""
    from competency_gaps.findings.answer import concept_slice
    from competency_gaps.view.terminal.tables import concept_view, region_path
    from competency_gaps.view.words import gap_of

    run.check_concept(number)
    of_slice = concept_slice(run, number, **outcome)
    if not json_:
        Console().print(concept_view(run, number, of_slice and gap_of(*of_slice), limit))
        return
    orders: tuple[Order, ...] = ("strongest", "best", "worst")
    print_json(
        {
            **run.concepts.row(number, named=True),
            "slice": of_slice and of_slice[0],
            "regions": region_path(run, number),
            "benchmarks": run.concept_benchmarks.filter(concept=number).drop("concept").to_dicts(),
            "items": {order: run.concept_items(number, order=order, limit=limit).to_dicts() for order in orders},
        }
    )
