"""Progress on standard error: bars in a terminal, plain lines elsewhere, for each stage its rate and the time left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from competency_gaps.util.text import visible

WINDOW = 60.0
"""Seconds of recent work from which the rate is computed."""


class Bar:
    """Counts the work of one stage; only one thread may count."""

    def __init__(self, display: RichProgress, name: str, total: float | None, unit: str) -> None:
        self._display = display
        self._id = display.add_task(name, total=total, unit=unit, kept=0.0, note="")
        self.task: Task = next(task for task in display.tasks if task.id == self._id)
        display.advance(self._id, 0)  # the rate begins here

    @property
    def done(self) -> float:
        """Amount of finished work, that of an earlier run included."""
        return self.task.completed

    def advance(self, amount: float = 1) -> None:
        """Count work that was just done."""
        self._display.advance(self._id, amount)

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did, without raising the rate."""
        self.task.completed += amount
        self.task.fields["kept"] += amount

    def note(self, text: str) -> None:
        """Show a few words about the current work."""
        self._display.update(self._id, note=visible(" ".join(text.split())))


class Progress:
    """Shows stages: as bars in a terminal, as plain lines if standard error is no terminal, not at all when quiet.

    Stages may be nested. Plain lines are written when a stage begins, every ``every`` seconds, and when it ends.

    Parameters
    ----------
    console
        Where to write; None: standard error.
    quiet
        Show nothing.
    every
        Seconds between two plain lines of a stage.
    clock
        Returns the time in seconds.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        every: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet
        self._every, self._clock = every, clock
        self._writing = threading.Lock()
        self._display: RichProgress | None = None
        """Shared by all running stages: a terminal has room for one; None if no stage runs."""

    @contextlib.contextmanager
    def stage(self, name: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Show one stage while the body runs; yields its bar.

        Parameters
        ----------
        name
            What is being done, in lowercase.
        total
            Expected amount of work; None: unknown.
        unit
            Unit of the work, a plural such as ``items``.
        """
        outermost = self._display is None
        display = self._display or RichProgress(
            *(SpinnerColumn(), TextColumn("{task.description:<12}", markup=False), BarColumn(bar_width=28), _Facts()),
            *(TimeElapsedColumn(), TextColumn("{task.fields[note]}", markup=False)),
            console=self.console,
            disable=self.quiet or self._plain,
            speed_estimate_period=WINDOW,
            get_time=self._clock,
        )
        self._display = display
        bar = Bar(display, name, total, unit)
        try:
            if outermost:
                display.start()
            with self._lines(bar.task) if self._plain and not self.quiet else contextlib.nullcontext():
                yield bar
            if bar.task.total is None:
                display.update(bar.task.id, total=1, completed=1)
        finally:
            display.stop_task(bar.task.id)
            if outermost:
                self._display = None
                display.stop()

    def say(self, text: str) -> None:
        """Print one line, unless quiet."""
        if self.quiet:
            return
        if self._plain:
            self._write(visible(text))
        else:
            self.console.print(visible(text), highlight=False, markup=False)

    @property
    def _plain(self) -> bool:
        return not (self.console.is_interactive or self.console.is_jupyter)

    def _write(self, line: str) -> None:
        # Written past the console, which wraps lines. A log that is closed or full does not stop the work.
        with self._writing, contextlib.suppress(OSError, ValueError):
            self.console.file.write(f"{line}\n")
            self.console.file.flush()

    @contextlib.contextmanager
    def _lines(self, task: Task) -> Iterator[None]:
        """Write plain lines about a stage, from a separate thread, because a single step may take long."""
        ended = threading.Event()

        def speak() -> None:
            while not ended.wait(self._every):
                note = task.fields["note"]
                facts = _facts(task) or f"still running after {minutes(task.elapsed or 0)}"
                self._write(f"{task.description}: {facts}" + (f" ({note})" if note else ""))

        started = "started" if task.total is None else f"{task.total:,.0f} {task.fields['unit']}"
        self._write(f"{task.description}: {started}")
        speaker = threading.Thread(target=speak, name=f"progress: {task.description}", daemon=True)
        speaker.start()
        outcome = "stopped"
        try:
            yield
            outcome = "done"
        finally:
            ended.set()
            speaker.join()
            amount = f", {_amount(task)}" if _amount(task) else ""
            self._write(f"{task.description}: {outcome}{amount} in {minutes(task.elapsed or 0)}")


class _Facts(ProgressColumn):
    """How much is done, how fast, and the time left."""

    def render(self, task: Task) -> Text:
        return Text(_facts(task), no_wrap=True)


def _facts(task: Task) -> str:
    """Return amount, rate and time left of a stage; empty if nothing is counted."""
    parts = [_amount(task)] if _amount(task) else []
    if task.speed:
        rate = f"{task.speed:.1f}" if 1 <= task.speed < 100 else f"{task.speed:,.0f}" if task.speed >= 1 else ""
        parts.append(f"{rate or f'{task.speed:.2g}'} {task.fields['unit']}/s")
        if task.total and task.completed <= task.total:
            parts.append(f"{minutes((task.total - task.completed) / task.speed)} left")
    return ", ".join(parts)


def _amount(task: Task) -> str:
    """Return how much is done, and of how much; a total that was exceeded was only an estimate and is left out."""
    unit, kept = task.fields["unit"], task.fields["kept"]
    if task.total is None and not task.completed:
        return ""
    known = task.total is not None and round(task.completed) < task.total
    text = f"{task.completed:,.0f}" + (f" of {task.total:,.0f}" if known else "") + f" {unit}"
    return f"{text}, {kept:,.0f} there already" if kept else text


def minutes(seconds: float) -> str:
    """Return a duration as text, such as 2:07, or 1:02:07 from an hour on."""
    whole, rest = divmod(round(seconds), 60)
    hours, whole = divmod(whole, 60)
    return f"{hours}:{whole:02}:{rest:02}" if hours else f"{whole}:{rest:02}"
