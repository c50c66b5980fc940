"""Options that several commands have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from competency_gaps.config import LLMConfig, parse_config, read_yaml
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    pass

RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
DictionaryArgument = Annotated[Path, typer.Argument(help="The dictionary's folder.")]
ConfiguredDictionary = Annotated[
    Path | None, typer.Option(help="Dictionary of the SAE's concepts; by default that of the run.")
]
MODEL_HELP = "Hub id, folder, .gguf file, or embedded:NAME."
SAE_HELP = "SAE folder, RELEASE/ID of SAELens, or embedded:NAME."
ModelOption = Annotated[str, typer.Option(help=MODEL_HELP)]
SaeOption = Annotated[str, typer.Option(help=SAE_HELP)]
HookOption = Annotated[str | None, typer.Option(help="Where the SAE reads; by default its own.")]
ContextOption = Annotated[int, typer.Option(min=2, help="Longest piece that the model reads at once, in tokens.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override: a.b=value (YAML); may be repeated.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
MetricOption = Annotated[str | None, typer.Option(help="Metric of a log or task that is the score; none: no scores.")]
FilterOption = Annotated[str | None, typer.Option("--filter", help="Filter of an lm-eval log or task.")]
ScorerOption = Annotated[str | None, typer.Option(help="Scorer of an Inspect log or task.")]
LogFormatOption = Annotated[str | None, typer.Option("--format", help="Tool that wrote the log; detected by default.")]
FieldOption = Annotated[
    list[str] | None,
    typer.Option(help="Of tables and logs: OURS=COLUMN, e.g. prompt=question or cluster=passage; may be repeated."),
]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="MODEL", help="Read the run as the scores of one of its models.")
]
AgainstPeersOption = Annotated[
    bool, typer.Option("--against-peers", help="With --as: against what models of its level make of each item.")
]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(help="With --as: less the scores of this model; several are the peers; may be repeated."),
]
ParsedOption = Annotated[
    bool, typer.Option("--parsed", help="With --as: where fewer of its answers could be parsed, in place of scores.")
]
AllKindsOption = Annotated[
    bool,
    typer.Option("--all-kinds", help="Rank and test concepts of every kind, not only contextual ones."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if the SAE does not fit.")]

LLMOption = Annotated[
    Path | None,
    typer.Option("--llm", help="Language model to ask: a YAML or JSON file with base_url, model, key_env, ..."),
]
RequestsOption = Annotated[
    Path | None, typer.Option(help="Ask no model: write the requests into this file in OpenAI's batch form.")
]
AnswersOption = Annotated[
    list[Path] | None, typer.Option("--answers", help="Read answers to such requests; may be repeated.")
]

_MOST = 10_000_000
"""Largest size of a range; no SAE has as many concepts."""


def parse_concepts(text: str) -> list[int]:
    """Read ``5,17,100-200``; whether an SAE has these concepts is not checked here.

    Raises
    ------
    UserError
        If the text has another form.
    """
    chosen: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + _MOST:
            raise UserError(f"concepts {text[:80]!r}: {part[:40]!r} is no number or range; expected e.g. 5,17,100-200.")
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return list(chosen)


def llm_config(llm: Path | None, requests: Path | None = None, answers: list[Path] | None = None) -> LLMConfig | None:
    """The language model that the options name; None: none.

    Raises
    ------
    UserError
        If the file cannot be read, or the options do not go together.
    """
    data = llm_data({} if llm is None else read_yaml(llm), requests, answers)
    return parse_config(LLMConfig, data, "options" if llm is None else str(llm)) if data else None


def llm_data(data: dict[str, Any], requests: Path | None, answers: list[Path] | None) -> dict[str, Any]:
    """A configuration in which files of requests or answers, if there are any, take the place of the endpoint."""
    if requests is None and not answers:
        return data
    kept = {key: value for key, value in data.items() if key not in ("base_url", "requests", "answers")}
    return {**kept, "requests": requests, "answers": answers or []}


def option_name(argument: str) -> str:
    """The option that gives an argument: ``--judge-import`` for ``judge.imports``, once for each of several."""
    words = argument.replace(".", "-").replace("_", "-")
    return "--" + (words.removesuffix("s") if words.endswith("fields") else words)
