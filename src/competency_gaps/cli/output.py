"""What commands print: lines, JSON for machines (one document, no NaN, no infinity), and progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl
import typer
from rich.console import Console
from rich.prompt import Confirm

from competency_gaps.api.run import Run
from competency_gaps.files import finite
from competency_gaps.progress import Progress
from competency_gaps.runs.open import RunFolder
from competency_gaps.text import visible


def help_alone(context: typer.Context) -> None:
    """Print the help of a group of commands that was called without a command."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())


def terminal(quiet: bool) -> Progress:
    """Progress on standard error; questions are asked where somebody sits at a terminal to answer them."""
    console = Console(stderr=True)
    confirm = partial(Confirm.ask, console=console, default=False) if sys.stdin.isatty() else None
    return Progress(console, quiet=quiet, confirm=confirm)


def print_line(text: str, *, error: bool = False) -> None:
    """Print a line that no console wraps, colours or reads as markup."""
    Console(stderr=error).print(visible(text), highlight=False, markup=False, soft_wrap=True)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values in two columns."""
    for name, value in facts.items():
        print_line(f"{name:<20} {value}")


def print_run(run: Run, *, json_: bool) -> None:
    """Print what a run that was just made says, and where its report is."""
    from competency_gaps.report import print_summary

    if json_:
        print_json({**run_document(run), "report": str(run.report_file)})
        return
    print_summary(run, Console())
    print_line(f"\nReport: {run.report_file.resolve()}")


def print_json(value: Any) -> None:
    """Print one JSON document; what has no number in JSON becomes null."""
    sys.stdout.write(json.dumps(finite(value), ensure_ascii=False, allow_nan=False) + "\n")


def rows(table: pl.DataFrame) -> list[dict[str, Any]]:
    """A table as a list of rows."""
    return table.to_dicts()


def run_document(run: RunFolder) -> dict[str, Any]:
    """A run's facts for machines."""
    concepts = run.concepts
    alive = concepts["alive"].sum()
    return {
        "run": str(run.path),
        "benchmarks": rows(run.benchmarks),
        "concepts": {
            "width": run.width,
            "alive": alive,
            "missing": (concepts["alive"] & concepts["missing"]).sum(),
            "dense": concepts["dense"].sum(),
            "template": concepts["template"].sum(),
            "exact_token": concepts["exact_token"].sum(),
        },
        "evidence": run.manifest["evidence"],
        "gate": run.manifest["gate"],
    }
