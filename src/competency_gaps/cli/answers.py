"""Printing an answer: of a run that was just made, or that is read."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from competency_gaps.cli.coverage import print_coverage
from competency_gaps.cli.output import print_json, print_line, run_document

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.findings.finding import Answer


def print_run(run: Run, *, json_: bool) -> None:
    """Print a new run's answer, and where its report is."""
    if json_:
        print_json({**run_document(run), "report": str(run.report_file)})
        return
    if run.models.height:
        print_answer(run, run.answer(run.models["model"][0]))
    else:
        print_unscored(run)
    if run.report_file.is_file():  # a checkout whose page was not built has none
        print_line(f"\nReport: {run.report_file.resolve()}")


def print_demo(run: Run) -> None:
    """Print what the demo found, in sentences with bars, and what to open."""
    from competency_gaps.findings.items import detail
    from competency_gaps.findings.words import pictured
    from competency_gaps.report.answer import answer_picture

    answer, console = run.answer(), Console()
    failing = [item for finding in pictured(answer)[:1] for item in detail(run, answer, finding).failing]
    console.print(answer_picture(answer, next(iter(failing), None), console.width))
    print_line("")
    if run.report_file.is_file():  # a checkout whose page was not built has none
        print_line(f"Open in a browser: {run.report_file.resolve()}")
    print_line(f"All findings: cgaps show {run.path}. Your own model: cgaps sae MODEL, or its logs: cgaps logs PATH.")


def print_answer(run: Run, answer: Answer, limit: int | None = None) -> None:
    """Print an answer, so many findings of each side."""
    from competency_gaps.findings.items import example_texts
    from competency_gaps.report.answer import SIDE, answer_view

    console = Console()
    console.print(answer_view(answer, example_texts(run, answer.findings), console.width, limit or SIDE))


def print_unscored(run: Run, limit: int = 6) -> None:
    """Print what a run without scores says: what its items do not test."""
    from competency_gaps.findings.words import UNSCORED, short_name

    print_line(f"{short_name(run.scored_model)}: {UNSCORED}")
    print_coverage([run.coverage()], [run.path], limit)


def answer_document(run: Run, answer: Answer) -> dict[str, Any]:
    """An answer as data, with its sentences beside it."""
    from competency_gaps.findings.items import example_texts
    from competency_gaps.findings.words import answer_words

    examples = example_texts(run, answer.findings)
    return {"answer": asdict(answer), "examples": examples, "words": answer_words(answer)}
