"""Options that several commands have; those about asking a language model are the fields of ``AskConfig``."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from competency_gaps.config import AskConfig, parse_config
from competency_gaps.config.asking import WAYS
from competency_gaps.errors import UserError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

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

_MOST = 10_000_000
"""Largest size of a range; no SAE has as many concepts."""

FIELDS = AskConfig.model_fields
Command = Callable[..., None]
PANEL = "Asking a language model"


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


@dataclass(frozen=True)
class AskOptions:
    """The options about asking a model on a command line."""

    values: dict[str, Any]
    """The options on the command line, by field of ``AskConfig``."""
    names: tuple[str, ...]
    """Fields for which the command has an option."""

    def written(self) -> str:
        """The options on the command line, as they are written there."""
        return ", ".join(map(spell, self.values))

    def config(self) -> AskConfig | None:
        """How a model is asked; None: no option was given.

        Raises
        ------
        UserError
            If the options name several ways of asking, or one of them has no effect with the others.
        """
        if not self.values:
            return None
        config = parse_config(AskConfig, self.values, "options", spell)
        if config.way is None:
            ways = " or ".join(spell(name) for name in WAYS if name in self.names)
            raise UserError(f"{self.written()} means something only with {ways}: add that, or leave it out.")
        return config

    def needed(self, what: str) -> AskConfig:
        """The same where a model is needed, e.g. for ``--word``."""
        config = self.config()
        if config is None:
            raise UserError(f"{what} asks a model: give --export FILE, --import FILE, or --base-url with --model.")
        return config


def asks(prefix: str = "", only: Collection[str] = tuple(FIELDS)) -> Callable[[Command], Command]:
    """Give a command the options about asking a model, in place of its last parameter, ``ask`` (``AskOptions``).

    Parameters
    ----------
    prefix
        What the options' names begin with, e.g. ``judge_`` for ``--judge-model``.
    only
        Fields of ``AskConfig`` that become options.
    """
    names = tuple(name for name in FIELDS if name in only)

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "ask"]

        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(prefix + name) for name in names}
            stated = {name: value for name, value in given.items() if value not in (None, [])}
            command(**values, ask=AskOptions(stated, names))

        options = [_option(name, FIELDS[name], prefix) for name in names]
        with_options.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
        return with_options

    return decorate


def spell(name: str, prefix: str = "") -> str:
    """A field of ``AskConfig`` as an option; a place in the field's list, after a dot, is left out."""
    return option_name(prefix + name.partition(".")[0])


def option_name(argument: str) -> str:
    """The option that gives an argument: ``--judge-import`` for ``judge.imports``, once for each of several."""
    words = argument.replace(".", "-").replace("_", "-")
    return "--" + (words.removesuffix("s") if words.endswith(("imports", "fields")) else words)


def _option(name: str, field: FieldInfo, prefix: str) -> inspect.Parameter:
    """A parameter whose default is None, so that only options on the command line have a value."""
    shown = False if field.default in (None, False, []) else str(field.default)
    option = typer.Option(spell(name, prefix), help=field.description, show_default=shown, rich_help_panel=PANEL)
    kind: Any = field.annotation
    return inspect.Parameter(
        prefix + name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[kind | None, option],
    )
