"""Facts of a run, as the report and the explorer list them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from competency_gaps.text import NOT_DEFINED, decimal, integer, percent, shorten, tenths

UNITS = {"alive": "1 = mean over alive concepts", "nonzero": "1 = mean where active", "none": "mean activation"}
"""What chi_bench is measured in, by the setting ``metrics.normaliser``."""


@dataclass(frozen=True)
class Fact:
    """One line of the run card."""

    name: str
    value: str
    note: str = ""


def unit(manifest: Mapping[str, Any]) -> str:
    """Say what chi_bench is measured in."""
    return UNITS[manifest["settings"].get("metrics", {}).get("normaliser", "alive")]


def run_card(manifest: Mapping[str, Any]) -> list[Fact]:
    """Say what was run: model, SAE, hook, gate and settings."""
    model, sae, gate, hook = (manifest[part] for part in ("model", "sae", "gate", "hook"))
    dead = gate.get("dead_share")
    figures_of_gate = [
        f"L0 {tenths(gate.get('l0'))}",
        f"explained variance {decimal(gate.get('explained_variance'))}",
        f"silent {NOT_DEFINED if dead is None else percent(dead, 1)} of {integer(sae['d_sae'])}",
        f"on {integer(gate.get('tokens'))} tokens",
    ]
    verdict = "passed" if gate.get("passed") else "failed, forced by the user" if gate.get("forced") else "failed"
    setting = "the paper's setting" if manifest.get("paper") else "this project's setting"
    return [
        Fact(
            "Model",
            str(model["name"]),
            f"{model['class']}, {model['layers']} layers × {integer(model['hidden_size'])}, {model['dtype']}",
        ),
        Fact("Weights", str(model["weights_sha256"])[:16], "sha256, first 16 digits"),
        Fact(
            "SAE",
            str(sae["name"]),
            f"{sae['architecture']}, {integer(sae['d_sae'])} concepts over {integer(sae['d_in'])} dimensions",
        ),
        Fact("Hook", str(hook["path"]), f"where the SAE reads the model: {hook['side']} of layer {hook['layer']}"),
        Fact("SAE gate", verdict, ", ".join(figures_of_gate)),
        Fact("Span", str(manifest["span"]), "the tokens of an item that count"),
        Fact("Pooling", str(manifest["pooling"]), "token activations to one per item"),
        Fact("Definitions", setting, f"created {manifest['created']}"),
    ]


def listing(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested settings into dotted names and short values."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            lines += listing(value, f"{name}.")
        else:
            lines.append((shorten(name, 80), shorten(str(value), 200)))
    return lines


def command_text(command: str | Sequence[str]) -> str:
    """A command of a manifest as one line."""
    return command if isinstance(command, str) else shlex.join(str(part) for part in command)
