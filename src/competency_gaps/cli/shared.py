"""Options that commands share, how they are read, and how results are printed for people and machines."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from competency_gaps.util.errors import UserError
from competency_gaps.util.files import finite
from competency_gaps.util.progress import Progress
from competency_gaps.util.text import visible

if TYPE_CHECKING:
    from competency_gaps.api.run import Against, Run
    from competency_gaps.items.config import LLMConfig

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
DescribeOption = Annotated[
    str | None, typer.Option(help="What it is meant to test; default: its 'scope' in the configuration.")
]
LLMOption = Annotated[Path | None, typer.Option("--llm", help="Language model to ask: YAML with base_url, model, ...")]


def open_source(path: Path) -> Run:
    """Open a run folder, or read logs as a run."""
    from competency_gaps.api.run import Run
    from competency_gaps.pipeline import without_reading

    run = without_reading.open_source(path, terminal(quiet=False))
    return Run(run.path, run.manifest)


def as_outcome(run: Run, model: str | None, against: list[str] | None, parsed: bool = False) -> Run:
    """View a run through the scores of one of its models; without a model, return the run."""
    if model is None and (against or parsed):
        raise UserError("--against and --parsed need a model: give its name.")
    if model is None:
        return run
    return run.as_model(model, one_or_several(against), parsed=parsed, progress=terminal(quiet=False))


def one_or_several(names: list[str] | None) -> Against:
    """Return the value of a repeatable ``--against``: one name, a list of names, or None."""
    return names[0] if names and len(names) == 1 else names or None


def llm_config(llm: Path | None) -> LLMConfig | None:
    """Return the language model's settings from the file given with ``--llm``; None without a file."""
    from competency_gaps.items.config import LLMConfig, parse_config, read_yaml

    return parse_config(LLMConfig, read_yaml(llm), str(llm)) if llm else None


def option_name(argument: str) -> str:
    """Return the option for a function's argument: ``--hook-name`` for ``hook_name``."""
    return "--field" if argument == "fields" else "--" + argument.replace("_", "-")


def terminal(quiet: bool) -> Progress:
    """Return a progress display on standard error."""
    return Progress(Console(stderr=True), quiet=quiet)


def print_line(text: str, *, error: bool = False) -> None:
    """Print a line as it is, without wrapping, colours or markup."""
    Console(stderr=error).print(visible(text), highlight=False, markup=False, soft_wrap=True)


def print_result(document: Callable[[], Any], view: Callable[[int], RenderableType], as_json: bool) -> None:
    """Print a JSON document, or a view that fits the terminal's width."""
    if as_json:
        print_json(document())
        return
    console = Console()
    console.print(view(console.width))


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print names and values, in two columns or as a JSON document."""
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print_line(f"{name:<20} {value}")


def print_json(value: Any) -> None:
    """Print one JSON document, with null for NaN and infinity."""
    sys.stdout.write(json.dumps(finite(value), ensure_ascii=False, allow_nan=False) + "\n")


def typed_command() -> str:
    """Return the command as it was typed, for a run's manifest."""
    return shlex.join(["cgaps", *sys.argv[1:]])


def run_folder(name: str) -> str:
    """Return a run folder named after the last part of a model's or log's name."""
    last = name.rstrip("/").rpartition("/")[2].removeprefix("embedded:").removesuffix(".gguf")
    return "runs/" + (re.sub(r"[^\w.-]+", "-", last).strip("-.") or "run")
