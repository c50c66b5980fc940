"""Helpers for tests of fetched files: tiny wheels, a slow pip, a progress that records."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from contextlib import contextmanager
from pathlib import Path

from competency_gaps.embedded.pins import PinnedPackage


def build_wheel(folder: Path, module: str, files: dict[str, bytes], outside: str | None = None) -> PinnedPackage:
    """Write the wheel ``module`` 1.0 and describe it; ``outside`` names a member that lies beside its folder."""
    info = f"{module}-1.0.dist-info"
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = {n: base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b"=").decode() for n, b in members.items()}
    record = "".join(f"{name},sha256={digest[name]},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    if outside:
        members[outside] = b"print('outside')"
    file = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = file.read_bytes()
    size = sum(map(len, members.values()))
    own = "\n".join(sorted(line for line in record.splitlines() if line.startswith(f"{module}/")))
    return PinnedPackage(
        distribution=module.replace("_", "-"),
        version="1.0",
        file=file.name,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        unpacked_size=size,
        files_sha256=hashlib.sha256(own.encode()).hexdigest(),
    )


class Recorder:
    """Records what a progress shows."""

    quiet = False

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: list[tuple[str, float, list[float]]] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def stage(self, name, *, total=None, unit=""):
        self.stages.append((name, total, []))
        yield self

    def advance(self, amount=1):
        self.stages[-1][2].append(amount)


def slow_pip(file: Path, seconds: float, chunks: int = 6) -> str:
    """Code of a pip that writes a file of the shelf in chunks, a pause after each."""
    return f"""
import sys, time
from pathlib import Path
into = Path(sys.argv[sys.argv.index("--dest") + 1])
into.mkdir(exist_ok=True)
data = Path({str(file)!r}).read_bytes()
step = len(data) // {chunks} + 1
with (into / "growing").open("wb") as part:
    for start in range(0, len(data), step):
        part.write(data[start : start + step])
        part.flush()
        time.sleep({seconds})
(into / "growing").rename(into / {file.name!r})
"""


def work_folders(place: Path) -> list[Path]:
    return list(place.glob(".work-*"))
