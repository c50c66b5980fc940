"""Read mutated files, each in a folder of its own, and watch what the reader does."""

from __future__ import annotations

import os
import random
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_mutations import OUTSIDE, mutate_folder
from fuzz_readers import READERS, REFUSALS, Reader

from competency_gaps.util.errors import CompetencyGapsError

_NEVER = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
)
"""What no reader does: start a program, load a pickle, open a connection."""
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link", "os.symlink")
_LONGEST = 20_000
"""Characters of the longest message; longer ones repeat what the file holds."""


class Outcome(NamedTuple):
    """What became of a case."""

    result: str
    """``read``, ``refused`` or ``fault``."""
    what: str = ""
    """The fault, with the place in the package where it arose."""
    mutations: Sequence[str] = ()
    """How the files were changed."""


class Cases:
    """Mutated samples of a reader.

    Parameters
    ----------
    name
        In ``fuzz_readers.READERS``.
    work
        An empty folder. Cases are read in ``case`` within it; ``outside`` beside that is not to be touched.
    """

    def __init__(self, name: str, work: Path) -> None:
        self.name = name
        self.reader: Reader = READERS[name]
        self._work = work
        self._case, self._samples, self._outside = (work / part for part in ("case", "samples", "outside"))
        self._samples.mkdir(parents=True)
        self._outside.mkdir()
        (self._outside / Path(OUTSIDE).name).write_text('{"secret": 1}')
        (self._outside / "table.csv").write_text("id,prompt\n1,secret\n")
        self._paths = [path.relative_to(self._samples) for path in self.reader.write(self._samples)]
        self._before = self._state()

    def whole(self) -> None:
        """Read all samples as they are; raises whatever is wrong with them."""
        for path in self._paths:
            self._copy()
            REFUSALS.clear()
            self.reader.read(self._case / path)
            if REFUSALS:
                raise AssertionError(f"{path} is refused as it is: {REFUSALS[0]}")

    def run(self, seed: str) -> Outcome:
        """Read a mutated sample; the seed gives it again."""
        path, lines = self.prepare(seed)
        REFUSALS.clear()
        touched: list[str] = []
        try:
            with _watched(self._work, self._case, touched):
                self.reader.read(path)
            what = next((f"message of {len(text):,} characters" for text in REFUSALS if len(text) > _LONGEST), "")
            outcome = Outcome("fault" if what else "refused" if REFUSALS else "read", what, lines)
        except CompetencyGapsError as error:
            what = f"message of {len(str(error)):,} characters" if len(str(error)) > _LONGEST else ""
            outcome = Outcome("fault" if what else "refused", what, lines)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - which one it is, is what is looked for; polars' panics are none of Exception
            outcome = Outcome("fault", _described(error), lines)
        if touched:
            outcome = Outcome("fault", touched[0], lines)
        if self._state() != self._before:
            outcome = Outcome("fault", "a file outside the folder changed", lines)
            self._before = self._state()
        return outcome

    def prepare(self, seed: str) -> tuple[Path, list[str]]:
        """Write a mutated sample; gives the path to read, and how it was changed."""
        rng = random.Random(f"{self.name} {seed}")
        path = self._case / rng.choice(self._paths)
        self._copy()
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        lines = mutate_folder(path if path.is_dir() else path.parent, rng, files)
        return path, lines

    def keep(self, folder: Path) -> None:
        """Copy the last case elsewhere."""
        shutil.copytree(self._case, folder, dirs_exist_ok=True, symlinks=True)

    def _copy(self) -> None:
        shutil.rmtree(self._case, ignore_errors=True)
        shutil.copytree(self._samples, self._case)

    def _state(self) -> list[tuple[str, int, int, bytes]]:
        files = sorted(file for file in self._outside.rglob("*") if file.is_file())
        files += [file for file in self._work.iterdir() if file.is_file()]
        return [(str(file), file.stat().st_mtime_ns, file.stat().st_mode, file.read_bytes()) for file in files]


def _described(error: BaseException) -> str:
    """An error with the last place in the package on its way, which tells one fault from another."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "competency_gaps" in Path(frame.filename).parts]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].name}" if own else "nowhere in the package"
    text = " ".join(str(error).split())
    return f"{type(error).__name__} at {place}: {text[:200]}"


_WATCH: dict[str, Any] = {}
_HOOKED: list[bool] = []


@contextmanager
def _watched(work: Path, case: Path, touched: list[str]) -> Iterator[None]:
    """Note programs that are started, and files that are opened or changed outside of the case, while the body runs."""
    if not _HOOKED:
        _HOOKED.append(True)
        sys.addaudithook(_hook)  # for the rest of the process: hooks cannot be taken off
    _WATCH.update(work=str(work.resolve()), case=str(case.resolve()), touched=touched)
    try:
        yield
    finally:
        _WATCH.clear()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCH or not (event == "open" or event in _NEVER or event in _WRITES):
        return
    if event in _NEVER:
        _WATCH["touched"].append(f"{event} {str(arguments)[:200]}")
        return
    for argument in arguments[:1] if event == "open" else arguments[:2]:
        if not isinstance(argument, (str, bytes, os.PathLike)):
            continue
        path = os.path.realpath(os.fsdecode(argument))
        within = path == _WATCH["case"] or path.startswith(_WATCH["case"] + os.sep)
        # Elsewhere packages read their own files, and keep caches; the folders beside the case are of nobody else.
        # A run reads the dictionary that it names.
        named = event == "open" and Path(path).is_relative_to(Path(_WATCH["work"], "samples", "dictionary"))
        allowed = Path(path).name == "r.html" or (named and not arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if not within and path.startswith(_WATCH["work"] + os.sep) and not allowed:
            _WATCH["touched"].append(f"{event} of {path.removeprefix(_WATCH['work'])}, outside the folder")
