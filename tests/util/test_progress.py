"""Progress where the output is no terminal: plain lines for a log; and bars in a terminal."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest
from rich.console import Console

from competency_gaps.util.progress import Progress


class Log:
    """A progress whose lines can be read, with a clock that stands still until it is moved on."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.now, self.file = 1000.0, io.StringIO()
        console = Console(file=self.file, force_terminal=False)
        self.progress = Progress(console, quiet=quiet, every=0.01, clock=lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def wait(self, line: str) -> bool:
        """Whether a line is written within some seconds."""
        until = time.monotonic() + 20
        while line not in self.lines and time.monotonic() < until:
            time.sleep(0.005)
        return line in self.lines


@pytest.fixture
def log() -> Log:
    return Log()


def speakers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("progress")]


def test_lines_at_the_start_during_and_at_the_end(log):
    with log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.note("addition")
        log.now += 40
        bar.advance(420)
        assert log.wait("reading: 420 of 1,750 items, 10.5 items/s, 2:07 left (addition)")
        log.now += 121
        bar.advance(1330)
    assert log.lines[0] == "reading: 1,750 items" and log.lines[-1] == "reading: done, 1,750 items in 2:41"


def test_earlier_work_does_not_raise_the_rate(log):
    with log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.skip(300)
        log.now += 20
        bar.advance(100)
        assert log.wait("reading: 400 of 1,750 items, 300 there already, 5.0 items/s, 4:30 left")


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_stopped_stage_says_how_far_it_came(fault, log):
    with pytest.raises(fault), log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.advance(420)
        raise fault
    assert log.lines[-1] == "reading: stopped, 420 of 1,750 items in 0:00" and not speakers()


def test_names_from_outside_are_visible_on_one_line(log):
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.note("a [/b]\x1b[31m\nnext")
        assert log.wait("reading: 0 of 3 items (a [/b]<U+001B>[31m next)")


def test_quiet_writes_nothing():
    log = Log(quiet=True)
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.advance()
        log.progress.say("a line")
        assert not speakers()
    assert log.lines == [] and bar.done == 1


@pytest.mark.parametrize("fault", [BrokenPipeError, ValueError])
def test_a_log_that_cannot_be_written_stops_nothing(fault, log, monkeypatch):
    def fails(text):
        raise fault

    monkeypatch.setattr(log.file, "write", fails)
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.advance(3)
        time.sleep(0.05)
    assert bar.done == 3 and not speakers()


def test_nested_stages_share_a_terminal():
    file = io.StringIO()
    progress = Progress(Console(file=file, force_terminal=True, width=200, _environ={"TERM": "xterm"}))
    with progress.stage("loading the model"):
        with progress.stage("hashing", total=4, unit="files") as bar:
            bar.note("a [/b]")
            bar.skip(1)
            bar.advance(2)
            progress.say("above")
        assert not speakers()
    with pytest.raises(ValueError), progress.stage("reading", total=2, unit="items"), progress.stage("inner"):
        raise ValueError
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    for text in ("loading the model", "hashing", "3 of 4 files", "a [/b]", "above", "reading", "inner"):
        assert text in drawn
    assert "hashing:" not in drawn
