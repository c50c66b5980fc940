"""Progress where the output is no terminal: plain lines for a log; and bars in a terminal."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest
import yaml
from rich.console import Console

from competency_gaps.progress import Progress
from core_helpers import command


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Log:
    """A progress whose lines can be read, with a clock that stands still until it is moved on."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.clock, self.file = Clock(), io.StringIO()
        console = Console(file=self.file, force_terminal=False)
        # Lines are due by the test's clock, for which the real time of ``every`` is only how often it is looked at.
        self.progress = Progress(console, quiet=quiet, every=0.01, clock=self.clock)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def wait(self, seconds: float) -> str:
        """The line that is written once the clock has moved on."""
        known = len(self.lines)
        self.clock.now += seconds
        until = time.monotonic() + 20
        while len(self.lines) == known and time.monotonic() < until:
            time.sleep(0.005)
        return self.lines[-1] if len(self.lines) > known else "no line"


@pytest.fixture
def log() -> Log:
    return Log()


def speakers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("progress")]


def test_lines_at_the_start_now_and_then_and_at_the_end(log):
    with log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.note("addition")
        bar.advance(420)
        assert log.wait(40) == "reading: 420 of 1,750 items (24%), 10.5 items/s, 2:07 left (addition)"
        bar.advance(1330)
        log.wait(121)
    assert log.lines == [
        "reading: 1,750 items",
        "reading: 420 of 1,750 items (24%), 10.5 items/s, 2:07 left (addition)",
        "reading: 1,750 of 1,750 items (100%), 10.9 items/s, 0:00 left (addition)",
        "reading: done, 1,750 items in 2:41 (10.9 items/s)",
    ]


def test_a_stage_without_counts_still_writes_lines(log):
    with log.progress.stage("gate", total=200_000, unit="tokens") as bar:
        assert log.wait(20) == "gate: still at 0 of 200,000 tokens (0%)"
        bar.advance(4000)
        assert log.wait(20) == "gate: 4,000 of 200,000 tokens (2%), 100 tokens/s, 32:40 left"
        assert log.wait(40) == "gate: still at 4,000 of 200,000 tokens (2%), 50.0 tokens/s, 1:05:20 left"


def test_each_line_comes_once(log):
    with log.progress.stage("reading", total=10, unit="items"):
        log.wait(20)
        time.sleep(0.1)
        assert len(log.lines) == 2


def test_unknown_length(log):
    with log.progress.stage("loading the model"):
        assert log.wait(40) == "loading the model: still running after 0:40"
        log.clock.now += 13
    assert log.lines[0] == "loading the model: started"
    assert log.lines[-1] == "loading the model: done in 0:53"


def test_unknown_length_with_a_count_and_a_length_that_is_found_out(log):
    with log.progress.stage("downloading", unit="MB") as bar:
        bar.advance(30.4)
        assert log.wait(20) == "downloading: 30 MB, 1.5 MB/s"
        bar.expect(60.8)
        assert log.wait(20) == "downloading: still at 30 of 61 MB (50%), 0.76 MB/s, 0:40 left"
    assert log.lines[-1] == "downloading: done, 30 of 61 MB in 0:40 (0.76 MB/s)"


def test_work_of_an_earlier_run_does_not_raise_the_rate(log):
    with log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.skip(300)
        assert log.wait(20) == "reading: 300 of 1,750 items (17%), 300 there already"
        bar.advance(100)
        assert log.wait(20) == "reading: 400 of 1,750 items (22%), 300 there already, 2.5 items/s, 9:00 left"
        bar.advance(1350)
        log.clock.now += 5
    assert log.lines[-1] == "reading: done, 1,750 items in 0:45 (32.2 items/s, 300 there already)"
    with log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.skip(1750)
    assert log.lines[-1] == "reading: done, 1,750 items in 0:00 (all there already)"


def test_the_rate_is_that_of_the_last_minute(log):
    with log.progress.stage("reading", total=10_000, unit="items") as bar:
        for _ in range(60):
            log.clock.now += 10
            bar.advance(1)
        assert bar.rate == pytest.approx(0.1)
        for _ in range(6):
            log.clock.now += 10
            bar.advance(100)
        assert bar.rate == pytest.approx(10)
        # Work in larger pieces than a minute: the rate spans the last of them.
        log.clock.now += 300
        bar.advance(100)
        assert bar.rate == pytest.approx(100 / 300)
        assert bar.left == pytest.approx((10_000 - 760) * 3)


def test_an_exceeded_total_is_not_shown(log):
    with log.progress.stage("attacking", total=10, unit="answers") as bar:
        bar.advance(12)
        assert log.wait(4) == "attacking: 12 answers, 3.0 answers/s"
    assert log.lines[-1] == "attacking: done, 12 answers in 0:04 (3.0 answers/s)"


def test_singular_and_zero_counts(log):
    for total in (1, 0):
        with log.progress.stage("loading benchmarks", total=total, unit="benchmarks") as bar:
            bar.advance(total)
    assert log.lines == [
        "loading benchmarks: 1 benchmark",
        "loading benchmarks: done, 1 benchmark in 0:00",
        "loading benchmarks: 0 benchmarks",
        "loading benchmarks: done, 0 benchmarks in 0:00",
    ]


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt])
def test_a_stage_that_is_stopped(fault, log):
    with pytest.raises(fault), log.progress.stage("reading", total=1750, unit="items") as bar:
        bar.advance(420)
        raise fault
    with pytest.raises(fault), log.progress.stage("loading the model"):
        log.clock.now += 7
        raise fault
    assert log.lines[1] == "reading: stopped after 420 of 1,750 items"
    assert log.lines[3] == "loading the model: stopped after 0:07"
    assert not speakers()


def test_nothing_runs_on_after_a_stage(log):
    with log.progress.stage("reading", total=1, unit="items"):
        assert speakers() == ["progress: reading"]
    assert not speakers()
    before = log.lines
    log.clock.now += 100
    time.sleep(0.05)
    assert log.lines == before


def test_stages_inside_a_stage_and_lines_between(log):
    with log.progress.stage("loading the model"):
        with log.progress.stage("downloading", total=2, unit="files") as bar:
            bar.advance(2)
        log.progress.say("a line that is longer than the eighty columns of a console without a terminal, and more")
    assert log.lines == [
        "loading the model: started",
        "downloading: 2 files",
        "downloading: done, 2 files in 0:00",
        "a line that is longer than the eighty columns of a console without a terminal, and more",
        "loading the model: done in 0:00",
    ]


def test_names_from_outside_are_made_visible_and_stay_on_one_line(log):
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.note("a [/b]\x1b[31m\nnext")
        assert log.wait(1) == "reading: still at 0 of 3 items (0%) (a [/b]<U+001B>[31m next)"


def test_quiet_says_nothing():
    log = Log(quiet=True)
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.advance()
        bar.skip(1)
        bar.note("quiz")
        log.progress.say("a line")
        assert not speakers()
        log.clock.now += 100
        time.sleep(0.05)
    assert log.lines == []


@pytest.mark.parametrize("fault", [BrokenPipeError, ValueError])
def test_a_log_that_cannot_be_written_to_stops_nothing(fault, log, monkeypatch):
    def fails(text):
        raise fault

    monkeypatch.setattr(log.file, "write", fails)
    with log.progress.stage("reading", total=3, unit="items") as bar:
        bar.advance(3)
        log.clock.now += 100
        time.sleep(0.05)
    assert bar.done == 3 and not speakers()


def terminal() -> tuple[Progress, io.StringIO]:
    """A progress in a terminal, and what it drew."""
    file = io.StringIO()
    return Progress(Console(file=file, force_terminal=True, width=200, _environ={"TERM": "xterm"})), file


def drawn(file: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_a_terminal_has_bars_and_no_plain_lines():
    progress, file = terminal()
    with progress.stage("reading", total=4, unit="items") as bar:
        bar.note("a [/b]")
        bar.skip(1)
        bar.advance(2)
        assert not speakers()
        progress.say("between")
    assert "\x1b[" in file.getvalue()
    assert "reading:" not in file.getvalue() and "done," not in file.getvalue()
    assert "3/4 items" in drawn(file) and "a [/b]" in drawn(file)
    assert "between\n" in drawn(file).replace("\r", "\n").replace(" ", "")


def test_stages_inside_a_stage_share_a_terminal():
    progress, file = terminal()
    with progress.stage("loading the model"):
        with progress.stage("downloading", total=2, unit="files") as bar:
            bar.advance(2)
            progress.say("above")
        with progress.stage("hashing", total=3, unit="files") as bar:
            bar.advance(3)
    with pytest.raises(ValueError), progress.stage("reading", total=2, unit="items"), progress.stage("inner"):
        raise ValueError
    with progress.stage("metrics"):
        pass
    last = drawn(file)
    assert all(name in last for name in ("loading the model", "downloading", "hashing", "reading", "inner", "metrics"))
    assert "2/2 files" in last and "3/3 files" in last and "above" in last


def test_a_run_without_a_terminal_lists_its_stages_in_order(tiny_config, tmp_path):
    config = tmp_path / "run.yaml"
    small = {**tiny_config, "benchmarks": [{**one, "limit": 8} for one in tiny_config["benchmarks"]]}
    small["sae"] = {**small["sae"], "force": True}  # so few tokens need not look as the SAE's own do
    config.write_text(yaml.safe_dump(small))
    found = command("run", str(config), "--out", str(tmp_path / "run"), "--json")
    assert found.returncode == 0 and found.stdout.startswith("{"), found.stderr
    assert "\x1b" not in found.stderr and "\r" not in found.stderr
    expected = [
        r"loading benchmarks: 2 benchmarks",
        r"loading benchmarks: done, 2 benchmarks in \d+:\d\d.*",
        r"loading the model: started",
        r"loading the model: done in \d+:\d\d",
        r"preparing prompts: 16 items",
        r"preparing prompts: done, 16 items in \d+:\d\d.*",
        r"gate: \d+ tokens",
        r"gate: done, \d+ tokens in \d+:\d\d.*",
        r"reading: 16 items",
        r"reading: done, 16 items in \d+:\d\d.*",
        r"metrics: started",
        r"metrics: done in \d+:\d\d",
        r"writing the report: started",
        r"writing the report: done in \d+:\d\d",
    ]
    lines = iter(found.stderr.splitlines())
    for pattern in expected:
        assert any(re.fullmatch(pattern, line) for line in lines), f"{pattern!r} in order in:\n{found.stderr}"
