"""JSON for machines: one document on standard output, no NaN, no infinity."""

from __future__ import annotations

import json
import sys
from typing import Any

import polars as pl
import typer

from competency_gaps.files import finite
from competency_gaps.runs.open import RunFolder


def help_alone(context: typer.Context) -> None:
    """Print the help of a group of commands that was called without a command."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())


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
