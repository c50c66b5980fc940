"""Which optional extras of this package are installed, and the commands that install the others.

Everything is read from the installed package's own metadata, so nothing here lists packages.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import re
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "competency-gaps"
PURPOSES = {
    "run": "make runs and train SAEs, with any model",
    "demo": "cgaps demo, the explorer and cgaps robustness",
    "explore": "cgaps explore and cgaps mcp",
    "hub": "benchmarks of the Hugging Face hub",
    "reasoning-gym": "families of generated tasks that need more packages, some compiled; the others need nothing",
    "ray": "cgaps run --engine ray: several workers, on one or many machines",
    "s3": "cgaps run --store s3://...: shards shared through S3 and what speaks its protocol",
    "gcs": "cgaps run --store gs://...: the same through Google Cloud Storage",
    "robustness": "cgaps robustness",
    "dictionary": "cgaps themes, match and scope: labels compared by meaning",
    "label": "models over an endpoint (labels, judges), published labels",
    "inspect": "Inspect's .eval logs",
}
"""What each extra is for, in the order in which they are listed; ``dev``, for work on this package, is left out."""

State = Literal["complete", "partly", "absent"]
# The environment markers that this package writes name an extra and nothing else (tests/test_installation.py).
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:\[[^]]*\])?\s*\(?([^;()]*)\)?\s*(?:;(.*))?", re.ASCII)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_LEAST = re.compile(r">=\s*([0-9][0-9.]*)")


@dataclass(frozen=True)
class Package:
    """A package that this one requires."""

    name: str
    wanted: str
    """Accepted versions, such as ``>=2.4``; empty: any."""
    version: str | None
    """The installed version; None: not installed."""

    @property
    def there(self) -> bool:
        """Whether an accepted version is installed."""
        least = _LEAST.search(self.wanted)
        if self.version is None or least is None:
            return self.version is not None
        return _release(self.version) >= _release(least.group(1))

    @property
    def requirement(self) -> str:
        """What is given to pip."""
        return f"{self.name}{self.wanted}"


@dataclass(frozen=True)
class Extra:
    """An optional extra, and what of it is installed."""

    name: str
    purpose: str
    packages: tuple[Package, ...]

    @property
    def missing(self) -> tuple[Package, ...]:
        """Packages that are not installed, or too old."""
        return tuple(package for package in self.packages if not package.there)

    @property
    def state(self) -> State:
        """How much of it is installed."""
        if not self.missing:
            return "complete"
        return "absent" if len(self.missing) == len(self.packages) else "partly"


def base_packages() -> tuple[Package, ...]:
    """Give the packages that this one always requires."""
    return _required(None)


def extras() -> list[Extra]:
    """The extras that users need, of the installed package; none if its metadata is not installed."""
    try:
        named = importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Extra(name, purpose, _required(name)) for name, purpose in PURPOSES.items() if name in named]


def install_command(extra: str) -> str:
    """Give the command that installs an extra into this environment, from where this package was installed.

    Parameters
    ----------
    extra : str

    Returns
    -------
    str
        Quoted for a shell. Where the source is gone, it names the extra's packages themselves.
    """
    source, editable = _source()
    if source is None:
        return f"{_pip()} {' '.join(shlex.quote(package.requirement) for package in _required(extra))}"
    if "://" in source:
        return f"{_pip()} {_quoted(f'{DISTRIBUTION}[{extra}] @ {source}')}"
    return f"{_pip()}{' -e' if editable else ''} {_quoted(f'{source}[{extra}]')}"


def is_editable() -> bool:
    """Whether this package is run from a checkout, whose changes count at once."""
    return _source()[1]


def _source() -> tuple[str | None, bool]:
    """Name, path or address that pip installs this package from (None: it no longer exists), and whether editable."""
    origin = _direct_url()
    if origin is None:
        return DISTRIBUTION, False
    address = str(origin.get("url", ""))
    if not address.startswith("file:"):
        version_control = origin.get("vcs_info")
        if version_control:
            address = f"{version_control['vcs']}+{address}@{version_control['commit_id']}"
        return address, False
    path = Path(url2pathname(urlsplit(address).path))
    if not path.exists():
        return None, False
    editable = bool(origin.get("dir_info", {}).get("editable"))
    return "." if path == Path.cwd() else str(path), editable


def _direct_url() -> dict[str, Any] | None:
    """pip's record of where this package was installed from (``direct_url.json``); None: an index."""
    try:
        text = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        checkout = Path(__file__).resolve().parents[2]
        is_checkout = (checkout / "pyproject.toml").is_file()
        return {"url": checkout.as_uri(), "dir_info": {"editable": True}} if is_checkout else None
    return json.loads(text) if text else None


def _pip() -> str:
    """Command that installs packages for this interpreter, even if ``pip`` on the path belongs to another."""
    python = shlex.quote(sys.executable)
    if importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {python}"
    pip = shutil.which("pip")
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return "pip install"
    return f"{python} -m pip install"


def _quoted(text: str) -> str:
    """Quote a text for a shell, always: zsh reads brackets as a pattern."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _required(extra: str | None) -> tuple[Package, ...]:
    packages = []
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    for line in lines:
        match = _REQUIREMENT.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"{line!r} in the metadata of {DISTRIBUTION}: expected NAME, versions and an extra.")
        name, wanted, marker = match.group(1), match.group(2).strip(), match.group(3) or ""
        of = _EXTRA.search(marker)
        if (of.group(1) if of else None) == extra:
            packages.append(Package(name, wanted, _version(name)))
    return tuple(packages)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without zeros at its end: ``2.4.0+cpu`` gives (2, 4)."""
    numbers = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    parts = [int(part) for part in numbers.group().split(".")] if numbers else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


_PACKAGES = (
    *("competency-gaps", "torch", "transformers", "sae-lens", "numpy", "scipy", "polars", "reasoning-gym"),
    *("lm-eval", "inspect-ai"),
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result; absent ones are left out."""
    installed = {package: version for package in _PACKAGES if (version := _version(package)) is not None}
    return {"python": platform.python_version(), **installed}
