"""What commands print: lines, JSON for machines, progress, and command lines for people to type."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from competency_gaps.files import finite
from competency_gaps.progress import Progress
from competency_gaps.text import visible

if TYPE_CHECKING:
    from competency_gaps.runs.open import RunFolder


def terminal(quiet: bool) -> Progress:
    """Progress on standard error."""
    return Progress(Console(stderr=True), quiet=quiet)


def print_line(text: str, *, error: bool = False) -> None:
    """Print a line that no console wraps, colours or reads as markup."""
    Console(stderr=error).print(visible(text), highlight=False, markup=False, soft_wrap=True)


def print_facts(facts: Mapping[str, Any], *, json_: bool) -> None:
    """Print names and values, in two columns or as a JSON document."""
    if json_:
        print_json(facts)
        return
    for name, value in facts.items():
        print_line(f"{name:<20} {value}")


def print_json(value: Any) -> None:
    """Print one JSON document, with null for NaN and infinity."""
    sys.stdout.write(json.dumps(finite(value), ensure_ascii=False, allow_nan=False) + "\n")


def run_document(run: RunFolder) -> dict[str, Any]:
    """A run's main figures for JSON output."""
    from competency_gaps.dictionary.kinds import kind_counts

    concepts = run.concepts
    alive = concepts["alive"].sum()
    return {
        "run": str(run.path),
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


def typed_command() -> str:
    """The command as it was typed, for a run's manifest."""
    return shlex.join(["cgaps", *sys.argv[1:]])


def run_command(model: str, sae: str, source: Sequence[str], out: str | None = None) -> str:
    """A line of ``cgaps run``, quoted for a shell.

    Parameters
    ----------
    source
        Options that say what is evaluated.
    out
        The run folder; None: named after the model.
    """
    return shlex.join(["cgaps", "run", "--model", model, "--sae", sae, *source, "--out", out or run_folder(model)])


def run_folder(name: str) -> str:
    """A run folder that is named after the last part of a name."""
    last = name.rstrip("/").rpartition("/")[2].removeprefix("embedded:").removesuffix(".gguf")
    return "runs/" + (re.sub(r"[^\w.-]+", "-", last).strip("-.") or "run")
