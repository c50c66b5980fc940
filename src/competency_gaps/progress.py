"""Progress on standard error: one bar per stage, with rate and time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text

from competency_gaps.text import visible


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: RichTask) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields.get("unit", "")
        return Text(f"{speed:,.0f} {unit}/s" if speed and speed >= 10 else f"{speed:.1f} {unit}/s" if speed else "")


class Bar:
    """One stage's bar."""

    def __init__(self, progress: RichProgress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, amount: float = 1) -> None:
        """Count work that was done now."""
        self._progress.advance(self._task, amount)

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did, without letting it raise the rate."""
        total = self._progress.tasks[self._task].total
        if total is not None:
            self._progress.update(self._task, total=max(0.0, total - amount))

    def note(self, text: str) -> None:
        """Show a few words after the bar."""
        self._progress.update(self._task, note=text)


class Progress:
    """Makes the bars; quiet when asked, and plain lines where standard error is no terminal."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.quiet = quiet

    @contextmanager
    def stage(self, name: str, *, total: float, unit: str) -> Iterator[Bar]:
        """Show one stage while the body runs."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with RichProgress(*columns, console=self.console, disable=self.quiet, speed_estimate_period=60) as bars:
            task = bars.add_task(name, total=total, unit=unit, note="")
            yield Bar(bars, task)

    def say(self, text: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            self.console.print(visible(text), highlight=False, markup=False)
