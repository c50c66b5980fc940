"""Progress on standard error: bars in a terminal, plain lines elsewhere, for each stage its rate and the time left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.table import Column
from rich.text import Text

from competency_gaps.progress_bar import Bar, Clock, current_line, end_line, minutes, speed, start_line, stop_line
from competency_gaps.text import visible

__all__ = ["Bar", "Progress"]

EVERY = 20.0
"""Seconds between two plain lines of a stage."""
LOOK = 1.0
"""Longest interval between checks whether a line is due, in seconds."""


class Progress:
    """Shows stages: as bars in a terminal, as plain lines where standard error is none, not at all when quiet.

    Stages may be nested. Plain lines are written when a stage begins, every ``every`` seconds, and when it ends.

    Parameters
    ----------
    console
        Where to; None takes standard error.
    quiet
        Show nothing.
    confirm
        Asks the user a question that is answered by yes or no; None: nobody can be asked.
    every
        Seconds between two plain lines of a stage.
    clock
        Gives the time in seconds.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        confirm: Callable[[str], bool] | None = None,
        every: float = EVERY,
        clock: Clock = time.monotonic,
    ) -> None:
        self.console = console or Console(stderr=True)
        self.quiet, self.confirm = quiet, confirm
        self._every, self._clock = every, clock
        self._writing = threading.Lock()
        self._display: RichProgress | None = None
        """Shared by all stages that are open: a terminal has room for one."""

    @contextlib.contextmanager
    def stage(self, name: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Show one stage while the body runs.

        Parameters
        ----------
        name
            What is done, in lowercase.
        total
            Expected work; None: not known.
        unit
            What the work is counted in: a plural.
        """
        bar = Bar(name, total, unit, self._clock)
        if self.quiet:
            yield bar
            return
        with self._lines(bar) if self._plain else self._drawn(bar):
            yield bar

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
    def _lines(self, bar: Bar) -> Iterator[None]:
        """Write plain lines about a stage."""
        self._write(start_line(bar))
        ended = threading.Event()
        speaker = threading.Thread(target=self._speak, args=(bar, ended), name=f"progress: {bar.name}", daemon=True)
        speaker.start()
        last_line = stop_line
        try:
            yield
            last_line = end_line
        finally:
            ended.set()
            speaker.join()
            self._write(last_line(bar))

    def _speak(self, bar: Bar, ended: threading.Event) -> None:
        """Write a line whenever one is due, from a thread of its own, because a single step may take long."""
        spoken, done = bar.began, 0.0
        while not ended.wait(min(LOOK, self._every)):
            now = self._clock()
            if now - spoken >= self._every:
                still = bar.done == done
                spoken, done = now, bar.done
                self._write(current_line(bar, still=still))

    @contextlib.contextmanager
    def _drawn(self, bar: Bar) -> Iterator[None]:
        """Draw a stage as a bar, below those of the stages that hold it."""
        outermost = self._display is None
        display = self._display or RichProgress(*_columns(), console=self.console)
        self._display = display
        task = display.add_task(bar.name, total=bar.total, bar=bar)
        bar.on_change = lambda: display.update(task, total=bar.total, completed=bar.done)
        try:
            if outermost:
                display.start()
            yield
            if bar.total is None:
                display.update(task, total=1, completed=1)
        finally:
            bar.stop_clock()
            display.stop_task(task)
            if outermost:
                self._display = None
                display.stop()


class _BarText(ProgressColumn):
    """A column whose text is made from the stage's bar."""

    def __init__(self, write: Callable[[Bar], str]) -> None:
        super().__init__(Column(no_wrap=True))
        self._write_text = write

    def render(self, task: RichTask) -> Text:
        return Text(self._write_text(task.fields["bar"]))


def _done_of_total(bar: Bar) -> str:
    if bar.total is None:
        return f"{bar.done:,.0f} {bar.unit}" if bar.done else ""
    return f"{bar.done:,.0f}/{bar.total:,.0f} {bar.unit}"


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        SpinnerColumn(),
        _BarText(lambda bar: f"{bar.name:<12}"),
        BarColumn(bar_width=28),
        _BarText(_done_of_total),
        _BarText(lambda bar: "" if bar.rate is None else speed(bar.rate, bar.unit)),
        TimeElapsedColumn(),
        _BarText(lambda bar: "" if bar.left is None else f"{minutes(bar.left)} left"),
        _BarText(lambda bar: bar.comment),
    )
