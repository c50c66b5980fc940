"""Kill commands with SIGKILL at random moments, run them again, and compare with what an undisturbed run gives.

    python validation/kill.py [--kills 100] [--seed 0] [--what run score ...] [--ctrl-c]

A tiny random model, an SAE and a suite are made on the spot; no network is needed, and POSIX is (processes are forked).
Moments are drawn evenly over the stages of a command, within a stage evenly over the files that it opens, moves or
removes, and then a random part of the way to the next of these. After each kill the same command runs again, which
in every third trial is killed as well, until it ends. A trial counts as identical if every file of the folders is
then the same as after an undisturbed run: tables and shards byte for byte, documents but for times. Files that are left
over count as well. With workers of Ray (``--what ray``, on Linux) some of these are killed along with every other
driver, and none of Ray's processes may be left a minute later. Ends in status 1 if one trial is not identical.

With ``--ctrl-c`` commands are interrupted instead: they must end as after Ctrl-C, with the sentence that says how to go
on, or come to their end.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kill_workers
from kill_process import Timeline, forked
from tiny import JOBS, Job, contents, make_material

SHARD_ITEMS = 8
"""Items of a shard, so that a small suite has several."""
STOPPED = "stopped. Finished work is kept; resume with: "
"""What a command says after Ctrl-C."""


@dataclass
class Trial:
    """A command that was killed, and what came of it in the end."""

    stages: list[str]
    """Of each kill."""
    fault: str | None = None
    """What differs; None: nothing."""


def typed(job: Job) -> Callable[[], None]:
    """What the command line does."""

    def action() -> None:
        from competency_gaps.cli.app import main as cgaps
        from competency_gaps.pipeline import extraction

        extraction.SHARD_ITEMS = extraction.GENERATED_ITEMS = SHARD_ITEMS
        if job.on_ray:
            kill_workers.cut_small(SHARD_ITEMS)
        sys.argv = ["cgaps", *job.arguments]
        cgaps()

    return action


def watched(work: Path, job: Job) -> Timeline:
    """Run a command undisturbed; its folders are left as they are after it."""
    status, events = forked(work, typed(job))
    if status != 0:
        raise SystemExit(f"{job.name} fails undisturbed: {(work / 'output.txt').read_text()[-3000:]}")
    timeline = Timeline()
    for line in events.splitlines():
        stage, seconds = line.split("\t")
        timeline.stages.append(stage)
        timeline.times.append(float(seconds))
    timeline.times.append(timeline.times[-1] + 0.05)
    return timeline


def tried(
    work: Path, job: Job, timeline: Timeline, expected: Mapping[str, str], rng: random.Random, by: signal.Signals
) -> Trial:
    """Kill a command once or more, let it end, and compare."""
    trial = Trial([])
    for kill in range(rng.choice((1, 1, 2))):
        number, seconds, stage = timeline.moment(rng)
        # A second command has less to do.
        (work / "output.txt").write_text("")
        status, _ = forked(work, typed(job), (number if kill == 0 else number // 2, seconds), by)
        if _is_stopped(work, status):
            also = job.on_ray and rng.random() < 0.5 and kill_workers.kill_some(rng)
            trial.stages.append(f"{stage}, then workers" if also else stage)
        elif status != 0:
            trial.fault = _failed(work, status, trial)
            return trial
    status, _ = forked(work, typed(job))
    if status != 0:
        trial.fault = _failed(work, status, trial)
        return trial
    held = _contents(work, job)
    differing = sorted(name for name in {*held, *expected} if held.get(name) != expected.get(name))
    if differing:
        trial.fault = f"after a kill in {trial.stages} these differ: {', '.join(differing)}"
    elif job.on_ray and (left := kill_workers.left_running()):
        trial.fault = f"after a kill in {trial.stages} these processes are left: {', '.join(left)}"
    return trial


def _is_stopped(work: Path, status: int) -> bool:
    """Whether a command was killed, or ended as after Ctrl-C."""
    return status == -signal.SIGKILL or (status == 1 and STOPPED in (work / "output.txt").read_text())


def _failed(work: Path, status: int, trial: Trial) -> str:
    return f"status {status} after a kill in {trial.stages}: {(work / 'output.txt').read_text()[-1500:]}"


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


def trials(work: Path, job: Job, kills: int, rng: random.Random, by: signal.Signals) -> list[Trial]:
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
        done.append(tried(work, job, timeline, expected, rng, by))
        if done[-1].fault is not None:
            print(f"{job.name}: {done[-1].fault}", file=sys.stderr)
    _restore(work, before, job)
    watched(work, job)
    return done


def _difference(work: Path, job: Job, expected: Mapping[str, str]) -> str:
    held = _contents(work, job)
    return ", ".join(sorted(name for name in {*held, *expected} if held.get(name) != expected.get(name)))


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
    parser.add_argument("--ctrl-c", action="store_true", help="interrupt instead of killing")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    by = signal.SIGINT if args.ctrl_c else signal.SIGKILL
    if signal.getsignal(by) is signal.SIG_IGN:
        parser.error("Ctrl-C is ignored here, as in a command that a script runs in the background: run this in front.")
    done = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        os.environ["CGAPS_CACHE"] = str(work / "cache")
        os.environ["RAY_TMPDIR"] = str(kill_workers.PLACE)
        status, _ = forked(work, lambda: make_material(work))
        if status != 0:
            raise SystemExit((work / "output.txt").read_text()[-3000:])
        for name, make in JOBS.items():  # each rests on those before it
            job = make(work)
            if name in args.what:
                done[name] = trials(work, job, args.kills, random.Random(f"{args.seed} {name}"), by)
            elif any(name in JOBS[other](work).needs for other in args.what):
                watched(work, job)
    shutil.rmtree(kill_workers.PLACE, ignore_errors=True)
    print(table(done))
    sys.exit(1 if any(trial.fault for own in done.values() for trial in own) else 0)


if __name__ == "__main__":
    main()
