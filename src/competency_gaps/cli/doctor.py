"""``cgaps doctor``: which versions, extras and plug-ins are installed, and what this machine computes with."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from competency_gaps.cli.shared import JsonOption, print_facts, print_json
from competency_gaps.util.errors import UserError, install_command

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_REQUIREMENT = re.compile(r"([\w.-]+).*?(?:extra == ['\"]([^'\"]+)['\"])?$")
"""Name and extra of a line of a package's requirements."""
_GPU = ("nvidia", "nvhost", "kfd", "dxg")
"""What a GPU's files in Linux' /dev are called: NVIDIA's, those of its small computers, AMD's, and Windows'."""


def doctor(json_: JsonOption = False) -> None:
    """Say what is installed, what is missing, and how to get it."""
    facts = examine()
    if json_:
        print_json(facts)
        return
    extras = {f"extra {name}": row["install"] or "complete" for name, row in facts["extras"].items()}
    plugins = {f"plug-in {row['package']}": f"{row['name']} ({row['kind']})" for row in facts["plugins"]}
    print_facts({**facts["machine"], **extras, **plugins}, json_=False)


def examine() -> dict[str, Any]:
    """Give versions, devices, what of each extra is missing and the command that installs it."""
    from importlib.metadata import requires

    from competency_gaps.items.registry import REGISTRIES
    from competency_gaps.view.page.page_files import FILES, PAGE

    built = all((PAGE / name).is_file() for name in FILES)
    missing: dict[str, list[str]] = {}
    for line in requires("competency-gaps") or []:
        name, extra = _REQUIREMENT.fullmatch(line.strip()).groups()  # type: ignore[union-attr]
        if extra not in (None, "dev"):
            missing.setdefault(extra, []).extend([] if _installed(name) else [name])
    plugins = [
        {"kind": registry.kind, "name": name, "package": package}
        for registry in REGISTRIES
        for name, package in sorted(registry.added().items())
    ]
    packages = ("competency-gaps", "torch", "transformers", "sae-lens")
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: getattr(_installed(name), "version", "not installed") for name in packages},
        "device": _device(),
        "bundled model": _embedded_model(),
        "page": "built" if built else "not built, so it cannot be shown or exported: make page (needs Node.js)",
    }
    extras = {
        key: {"missing": absent, "install": install_command(key) if absent else None} for key, absent in missing.items()
    }
    return {"machine": machine, "extras": extras, "plugins": plugins}


def _installed(package: str) -> Distribution | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(package)
    except PackageNotFoundError:
        return None


def _embedded_model() -> str:
    """Where the bundled model's weights are; nothing is fetched."""
    from competency_gaps.embedded.weights import SMOLLM2, local_weights

    try:
        file = local_weights(SMOLLM2)
    except UserError as error:
        return str(error)
    return str(file) if file else f"not on this machine; the demo downloads it once ({SMOLLM2.megabytes} MB)"


def _device() -> str:
    """What runs would compute with; torch, which takes a second, is imported only where there may be a GPU."""
    if _installed("torch") is None:
        return "no torch: can read finished runs, but not make runs"
    devices = [path.name for path in Path("/dev").iterdir()] if sys.platform == "linux" else [_GPU[0]]
    if not any(name.startswith(_GPU) for name in devices):
        return "cpu"
    import torch

    from competency_gaps.model.load import chosen_device

    device = chosen_device("auto")
    return torch.cuda.get_device_name() if device == "cuda" else device
