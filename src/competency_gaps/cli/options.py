"""Arguments and options that several commands have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.errors import UserError

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
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if the SAE does not fit.")]

_MOST = 10_000_000
"""Numbers that one range may hold: more concepts than an SAE has."""


def parse_concepts(text: str) -> list[int]:
    """Read ``5,17,100-200``; whether an SAE has these concepts is not checked here.

    Raises
    ------
    UserError
        If it has another form.
    """
    chosen: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + _MOST:
            raise UserError(f"concepts {text[:80]!r}: {part[:40]!r} is no number or range; expected e.g. 5,17,100-200.")
        chosen.update(dict.fromkeys(range(first, last + 1)))
    return list(chosen)
