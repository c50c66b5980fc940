"""``cgaps train-sae``: train an SAE for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from competency_gaps.config import TrainingConfig, parse_config, read_yaml


def train_sae(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the pack; activations are kept in it, so a stopped training goes on.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override: a.b=value (YAML); may be repeated.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train an SAE on a model's activations over your texts, with SAELens' trainer."""
    from competency_gaps.cli.output import print_json
    from competency_gaps.progress import Progress
    from competency_gaps.sae.training import train_sae as train
    from competency_gaps.sae.training.card import read_card

    checked = parse_config(TrainingConfig, read_yaml(config, set_ or []), str(config))
    folder = train(checked, out, Progress(quiet=quiet))
    card = read_card(folder)
    if json_:
        print_json(card)
        return
    console = Console()
    for name, value in card["figures"].items():
        console.print(f"{name:<28} {value}", highlight=False, markup=False)
    console.print(f"\nSAE: {folder.resolve()}", highlight=False, markup=False, soft_wrap=True)
