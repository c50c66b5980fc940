"""Kill commands with SIGKILL at random moments, run them again, and compare with what an undisturbed run gives.

    python validation/kill.py [--kills 100] [--seed 0] [--what run score ...]

A tiny random model, an SAE and a suite are made on the spot; no network is needed, and POSIX is (processes are forked).
Moments are drawn evenly over the stages of a command, within a stage evenly over the files that it opens, moves or
removes, and then a random part of the way to the next of these. After each kill the same command runs again, which
in every third trial is killed as well, until it ends. A trial counts as identical if every file of the folders is
then the same as after an undisturbed run: tables and shards byte for byte, documents but for times. Files that are left
over count as well. Ends in status 1 if one trial is not identical.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny import JOBS, Job, contents, make_material

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


@dataclass
class Trial:
    """A command that was killed, and what came of it in the end."""

    stages: list[str]
    """Of each kill."""
    fault: str | None = None
    """What differs; None: nothing."""


def forked(work: Path, action: Callable[[], Any], kill_at: tuple[int, float] | None = None) -> tuple[int, str]:
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
    said = b""
    with os.fdopen(reader, "rb") as pipe:
        while piece := pipe.read1(65536):
            said += piece
            if kill_at is not None and said.endswith(b"now\n"):
                time.sleep(kill_at[1])
                os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.decode()


def _be_child(work: Path, action: Callable[[], Any], writer: int, kill_at: int | None) -> None:
    """Write a line for each file event into the pipe, run the action, and end the process."""
    status = 1
    try:
        log = os.open(work / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.alarm(int(_SLOWEST))
        stage = _noting_stages()
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
    """Says each event to the process that forked this one."""

    def __init__(self, writer: int, stage: list[str], kill_at: int | None) -> None:
        self._writer, self._stage, self._kill_at = writer, stage, kill_at
        self._begin, self._count = time.perf_counter(), 0

    def __call__(self) -> None:
        if self._kill_at is None:
            os.write(self._writer, f"{self._stage[0]}\t{time.perf_counter() - self._begin}\n".encode())
        elif self._count == self._kill_at:
            os.write(self._writer, b"now\n")
        self._count += 1


def _noting_stages() -> list[str]:
    """A list whose only entry is the stage that the command is in."""
    from competency_gaps.progress import Progress

    stage, original = [START], Progress.stage

    @contextmanager
    def noted(self: Progress, name: str, **options: Any) -> Iterator[Any]:
        stage[0] = name
        with original(self, name, **options) as bar:
            yield bar
        stage[0] = f"after {name}"

    Progress.stage = noted  # type: ignore[method-assign]
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


def typed(arguments: Sequence[str]) -> Callable[[], None]:
    """What the command line does."""

    def action() -> None:
        from competency_gaps.cli.app import main as cgaps
        from competency_gaps.stages import shard_plan

        shard_plan.SHARD_ITEMS = shard_plan.GENERATED_ITEMS = 8
        sys.argv = ["cgaps", *arguments]
        cgaps()

    return action


def watched(work: Path, job: Job) -> Timeline:
    """Run a command undisturbed; its folders are left as they are after it."""
    status, said = forked(work, typed(job.arguments))
    if status != 0:
        raise SystemExit(f"{job.name} fails undisturbed: {(work / 'output.txt').read_text()[-3000:]}")
    timeline = Timeline()
    for line in said.splitlines():
        stage, seconds = line.split("\t")
        timeline.stages.append(stage)
        timeline.times.append(float(seconds))
    timeline.times.append(timeline.times[-1] + 0.05)
    return timeline


def tried(work: Path, job: Job, timeline: Timeline, expected: Mapping[str, str], rng: random.Random) -> Trial:
    """Kill a command once or more, let it end, and compare."""
    trial = Trial([])
    (work / "output.txt").write_text("")
    for kill in range(rng.choice((1, 1, 2))):
        number, seconds, stage = timeline.moment(rng)
        # A second command has less to do.
        status, _ = forked(work, typed(job.arguments), (number if kill == 0 else number // 2, seconds))
        if status == -signal.SIGKILL:
            trial.stages.append(stage)
        elif status != 0:
            trial.fault = f"status {status} after a kill in {trial.stages}: {(work / 'output.txt').read_text()[-1500:]}"
            return trial
    status, _ = forked(work, typed(job.arguments))
    if status != 0:
        trial.fault = f"status {status} after a kill in {trial.stages}: {(work / 'output.txt').read_text()[-1500:]}"
        return trial
    found = _contents(work, job)
    differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if differing:
        trial.fault = f"after a kill in {trial.stages} these differ: {', '.join(differing)}"
    return trial


def _contents(work: Path, job: Job) -> dict[str, str]:
    """Hashes of the files of a command's folders, made in a process of its own."""
    made = work / "contents.txt"

    def write() -> None:
        held = contents([work / name for name in job.folders])
        made.write_text("".join(f"{digest}\t{name}\n" for name, digest in held.items()))

    status, _ = forked(work, write)
    if status != 0:
        raise SystemExit((work / "output.txt").read_text()[-3000:])
    rows = (line.split("\t", 1) for line in made.read_text().splitlines())
    return {name: digest for digest, name in rows}


def trials(work: Path, job: Job, kills: int, rng: random.Random) -> list[Trial]:
    """Trials of one command until it was killed so often; its folders are then as after an undisturbed one."""
    before = work / "before"
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir()
    for name in job.folders:
        if (work / name).exists():
            shutil.copytree(work / name, before / name, symlinks=True)
    watched(work, job)
    expected = _contents(work, job)
    _restore(work, before, job)
    timeline = watched(work, job)
    if _contents(work, job) != expected:
        raise SystemExit(f"{job.name} gives something else every time: {_difference(work, job, expected)}")
    done: list[Trial] = []
    while sum(len(trial.stages) for trial in done) < kills:
        _restore(work, before, job)
        done.append(tried(work, job, timeline, expected, rng))
        if done[-1].fault is not None:
            print(f"{job.name}: {done[-1].fault}", file=sys.stderr)
    _restore(work, before, job)
    watched(work, job)
    return done


def _difference(work: Path, job: Job, expected: Mapping[str, str]) -> str:
    found = _contents(work, job)
    return ", ".join(sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name)))


def _restore(work: Path, before: Path, job: Job) -> None:
    """Put a command's folders back to what they were before it."""
    for name in job.folders:
        shutil.rmtree(work / name, ignore_errors=True)
        if (before / name).exists():
            shutil.copytree(before / name, work / name, symlinks=True)


def table(done: Mapping[str, Sequence[Trial]]) -> str:
    """Markdown: per command and stage the kills, and how many of them were in trials that ended identical."""
    rows = ["| command | stage | kills | identical |", "| --- | --- | --- | --- |"]
    for name, own in done.items():
        kills, same = Counter[str](), defaultdict[str, int](int)
        for trial in own:
            for stage in trial.stages:
                kills[stage] += 1
                same[stage] += trial.fault is None
        rows += [f"| {name} | {stage} | {count} | {same[stage]} |" for stage, count in kills.items()]
    every = [trial for own in done.values() for trial in own]
    count = sum(len(trial.stages) for trial in every)
    good = sum(len(trial.stages) for trial in every if trial.fault is None)
    return "\n".join([*rows, f"| all | | {count} | {good} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--what", nargs="+", choices=sorted(JOBS), default=["run"], help="commands")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    done = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        os.environ["CGAPS_CACHE"] = str(work / "cache")
        status, _ = forked(work, lambda: make_material(work))
        if status != 0:
            raise SystemExit((work / "output.txt").read_text()[-3000:])
        for name, make in JOBS.items():  # each rests on those before it
            job = make(work)
            if name in args.what:
                done[name] = trials(work, job, args.kills, random.Random(f"{args.seed} {name}"))
            elif any(name in JOBS[other](work).needs for other in args.what):
                watched(work, job)
    print(table(done))
    sys.exit(1 if any(trial.fault for own in done.values() for trial in own) else 0)


if __name__ == "__main__":
    main()
