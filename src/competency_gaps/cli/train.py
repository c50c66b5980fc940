"""``cgaps train-sae``: train an SAE for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from competency_gaps.cli.options import QuietOption, SetOption
from competency_gaps.cli.output import print_json, print_line, terminal
from competency_gaps.config import TrainingConfig, parse_config, read_yaml


def train_sae(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the pack; activations are kept in it, so a stopped training goes on.")
    ],
    set_: SetOption = None,
    quiet: QuietOption = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Train an SAE on a model's activations over your texts, with SAELens' trainer."""
    from competency_gaps.sae.training import train_sae as train
    from competency_gaps.sae.training.train import read_card

    checked = parse_config(TrainingConfig, read_yaml(config, set_ or []), str(config))
    folder = train(checked, out, terminal(quiet))
    card = read_card(folder)
    if json_:
        print_json(card)
        return
    for name, value in card["figures"].items():
        print_line(f"{name:<28} {value}")
    print_line(f"\nSAE: {folder.resolve()}")
