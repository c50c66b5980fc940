"""Commands in processes of their own, which are killed after a file event: each file that they open, move or remove."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START = "start"
"""Stage of a command before it names one."""
_SLOWEST = 600.0
"""Seconds after which a command that does not end is a fault."""


@dataclass
class Timeline:
    """File events of an undisturbed command: what a moment is drawn from."""

    stages: list[str] = field(default_factory=list)
    """Stage of each event."""
    times: list[float] = field(default_factory=list)
    """Seconds since the command began, ascending; the last is its end."""

    def moment(self, rng: random.Random) -> tuple[int, float, str]:
        """Number of an event, seconds to wait after it, and its stage."""
        stage = rng.choice(sorted(set(self.stages)))
        number = rng.choice([i for i, own in enumerate(self.stages) if own == stage])
        gap = self.times[number + 1] - self.times[number]
        return number, rng.choice((0.0, rng.random() * gap)), stage


def forked(
    work: Path,
    action: Callable[[], Any],
    kill_at: tuple[int, float] | None = None,
    by: signal.Signals = signal.SIGKILL,
) -> tuple[int, str]:
    """Run in a forked process, which is killed some seconds after a file event; gives its status, and its last event.

    The process that forks has imported everything and used nothing, so that no thread is lost.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(work, action, writer, None if kill_at is None else kill_at[0])
    os.close(writer)
    events = b""
    with os.fdopen(reader, "rb") as pipe:
        while piece := pipe.read1(65536):
            events += piece
            if kill_at is not None and events.endswith(b"now\n"):
                time.sleep(kill_at[1])
                os.kill(child, by)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), events.decode()


def _be_child(work: Path, action: Callable[[], Any], writer: int, kill_at: int | None) -> None:
    """Write a line for each file event into the pipe, run the action, and end the process."""
    status = 1
    try:
        log = os.open(work / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.alarm(int(_SLOWEST))
        stage = _watching_stages()
        _on_file_events(work, _Events(writer, stage, kill_at))
        action()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - it is in the output, and the status says that there was one
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Events:
    """Reports each event to the process that forked this one."""

    def __init__(self, writer: int, stage: list[str], kill_at: int | None) -> None:
        self._writer, self._stage, self._kill_at = writer, stage, kill_at
        self._begin, self._count = time.perf_counter(), 0

    def __call__(self) -> None:
        if self._kill_at is None:
            os.write(self._writer, f"{self._stage[0]}\t{time.perf_counter() - self._begin}\n".encode())
        elif self._count == self._kill_at:
            os.write(self._writer, b"now\n")
        self._count += 1


def _watching_stages() -> list[str]:
    """A list whose only entry is the stage that the command is in, kept up to date."""
    from competency_gaps.util.progress import Progress

    stage, original = [START], Progress.stage

    @contextmanager
    def watched(self: Progress, name: str, **options: Any) -> Iterator[Any]:
        stage[0] = name
        with original(self, name, **options) as bar:
            yield bar
        stage[0] = f"after {name}"

    Progress.stage = watched  # type: ignore[method-assign]
    return stage


def _on_file_events(work: Path, event: Callable[[], None]) -> None:
    """Call for every file in a folder that is opened, moved or removed."""
    prefix = str(work) + os.sep
    watched = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if name in watched and isinstance(arguments[0], (str, os.PathLike)):
            path = os.fspath(arguments[0])
            if path.startswith(prefix) and not path.endswith("output.txt"):
                event()

    sys.addaudithook(hook)
