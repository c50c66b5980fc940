"""What all commands share: options, what is read from them, and what is printed for people and machines."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import visible

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.items.config import LLMConfig
    from competency_gaps.runs.open import RunFolder

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
SourceArgument = Annotated[Path, typer.Argument(metavar="RUN|LOGS", help="Run folder, or logs of evaluations.")]
RunsArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN|LOGS...", help="Run folders or logs; several can be compared.")
]
DictionaryArgument = Annotated[Path, typer.Argument(help="The dictionary's folder.")]
MODEL_HELP = "Hub id, folder, .gguf file or embedded."
SAE_HELP = "SAE folder, SAELens RELEASE/ID or embedded."
ModelOption = Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)]
SaeOption = Annotated[str, typer.Option("--sae", "-s", help=SAE_HELP)]
TokensOption = Annotated[int, typer.Option(min=1, help="Read at most this many tokens.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a configuration key, e.g. span=prompt; repeatable."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Hide progress.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LogOption = Annotated[
    list[str] | None,
    typer.Option("--log", "-l", metavar="[NAME=]PATH", help="Another tool's log, or a folder of logs; repeatable."),
]
ScoresOption = Annotated[
    list[str] | None,
    typer.Option(metavar="[NAME=]PATH", help="Table of other models' scores: 'id' and a column per model; repeatable."),
]
MetricOption = Annotated[str | None, typer.Option(help="Metric in the log to use as the score; 'none': no scores.")]
ScorerOption = Annotated[str | None, typer.Option(help="Filter (lm-eval) or scorer (Inspect) to use.")]
FieldOption = Annotated[
    list[str] | None,
    typer.Option(metavar="OURS=COLUMN", help="Which column holds what, e.g. prompt=question; repeatable."),
]
OutcomeModelOption = Annotated[str | None, typer.Option("--model", help="Show results for one of the run's models.")]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL|peers",
        help="With --model: subtract this model's scores, or its peers' (models at its level); repeatable.",
    ),
]
LLMOption = Annotated[Path | None, typer.Option("--llm", help="Language model to ask: YAML with base_url, model, ...")]


def open_source(path: Path) -> Run:
    """Open a run folder, or read logs as a run."""
    from competency_gaps.api.run import Run
    from competency_gaps.pipeline import without_reading

    run = without_reading.open_source(path, terminal(quiet=False))
    return Run(run.path, run.manifest)


def open_outcome(run: Path, model: str | None, against: list[str] | None, *, parsed: bool = False) -> Run:
    """Open a run, or one of its models' scores."""
    opened = open_source(run)
    if model is None:
        if against or parsed:
            raise UserError("--against and --parsed need a model: give its name.")
        return opened
    other = against[0] if against and len(against) == 1 else against or None
    return opened.as_model(model, other, parsed=parsed, progress=terminal(quiet=False))


def llm_config(llm: Path | None) -> LLMConfig | None:
    """The language model that ``--llm`` names; None: none."""
    from competency_gaps.items.config import LLMConfig, parse_config, read_yaml

    return parse_config(LLMConfig, read_yaml(llm), str(llm)) if llm else None


def option_name(argument: str) -> str:
    """The option that gives an argument of a function: ``--hook-name`` for ``hook_name``."""
    return "--field" if argument == "fields" else "--" + argument.replace("_", "-")


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


def typed_command() -> str:
    """The command as it was typed, for a run's manifest."""
    return shlex.join(["cgaps", *sys.argv[1:]])


def run_folder(name: str) -> str:
    """A run folder that is named after the last part of a name."""
    last = name.rstrip("/").rpartition("/")[2].removeprefix("embedded:").removesuffix(".gguf")
    return "runs/" + (re.sub(r"[^\w.-]+", "-", last).strip("-.") or "run")
