"""Options that several commands have, and what is read from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from competency_gaps.cli.output import terminal
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from competency_gaps.api.run import Run
    from competency_gaps.config import LLMConfig

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
RunsArgument = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; several can be compared.")]
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


def open_outcome(run: Path, model: str | None, against: list[str] | None, *, parsed: bool = False) -> Run:
    """Open a run, or one of its models' scores."""
    from competency_gaps.api.run import Run
    from competency_gaps.runs.open import open_folder

    folder = open_folder(run)
    opened = Run(folder.path, folder.manifest)
    if model is None:
        if against or parsed:
            raise UserError("--against and --parsed need a model: give its name.")
        return opened
    other = against[0] if against and len(against) == 1 else against or None
    return opened.as_model(model, other, parsed=parsed, progress=terminal(quiet=False))


def llm_config(llm: Path | None) -> LLMConfig | None:
    """The language model that ``--llm`` names; None: none."""
    from competency_gaps.config import LLMConfig, parse_config, read_yaml

    return parse_config(LLMConfig, read_yaml(llm), str(llm)) if llm else None


def option_name(argument: str) -> str:
    """The option that gives an argument of a function: ``--hook-name`` for ``hook_name``."""
    return "--field" if argument == "fields" else "--" + argument.replace("_", "-")
