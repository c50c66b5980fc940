"""How far one stage is: its counts, rate and time left, and the lines that show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from competency_gaps.text import visible

WINDOW = 60.0
"""Seconds of recent work that the rate is taken over, or longer where the work comes in larger pieces."""

Clock = Callable[[], float]


class Bar:
    """How far one stage is; a single thread counts.

    Attributes
    ----------
    began
        When, by the clock.
    total
        Expected work; None: not known.
    done
        Finished work, including that of an earlier run.
    skipped
        Work of an earlier run.
    comment
        A few words on what is being done.
    on_change
        Called after each change.
    """

    def __init__(self, name: str, total: float | None, unit: str, clock: Clock) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done = self.skipped = 0.0
        self.comment = ""
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self.began = clock()
        self._marks = deque([(self.began, 0.0)])
        """Times, and the work done in this run until then; the first one is where the rate begins."""

    def advance(self, amount: float = 1) -> None:
        """Count work that was done now."""
        self.done += amount
        now = self._clock()
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self.done - self.skipped))
            while self._marks[1][0] <= now - WINDOW:
                self._marks.popleft()
        self.on_change()

    def skip(self, amount: float) -> None:
        """Count work that an earlier run did, without letting it raise the rate."""
        self.skipped += amount
        self.done += amount
        self.on_change()

    def expect(self, total: float) -> None:
        """Set how much work there is, where that is known only during the stage."""
        self.total = total
        self.on_change()

    def note(self, text: str) -> None:
        """Show a few words on what is being done."""
        self.comment = visible(" ".join(text.split()))
        self.on_change()

    def stop_clock(self) -> None:
        """Freeze the time, and so the rate."""
        now = self._clock()
        self._clock = lambda: now

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self._clock() - self.began

    @property
    def rate(self) -> float | None:
        """Recent work per second; None before any work was done."""
        since, before = self._marks[0]
        worked, seconds = self.done - self.skipped - before, self._clock() - since
        return worked / seconds if worked > 0 and seconds > 0 else None

    @property
    def mean_rate(self) -> float | None:
        """Work per second over the whole stage; None where there is too little of it."""
        worked = self.done - self.skipped
        return worked / self.elapsed if worked > 0 and self.elapsed >= 1 else None

    @property
    def left(self) -> float | None:
        """Seconds of work left; None: not known."""
        if self.total is None or self.rate is None or self.total < self.done:
            return None
        return (self.total - self.done) / self.rate


def start_line(bar: Bar) -> str:
    """What is written when a stage begins."""
    return f"{bar.name}: {'started' if bar.total is None else _counted(bar.total, bar.unit)}"


def current_line(bar: Bar, *, still: bool = False) -> str:
    """What is written while a stage runs.

    Parameters
    ----------
    still
        Nothing was done since the last line.
    """
    comment = f" ({bar.comment})" if bar.comment else ""
    if bar.total is None and not bar.done:
        return f"{bar.name}: still running after {minutes(bar.elapsed)}{comment}"
    rate, left = bar.rate, bar.left
    parts = [
        ("still at " if still else "") + amount(bar),
        *([f"{_kept(bar)} there already"] if bar.skipped else []),
        *([speed(rate, bar.unit)] if rate is not None else []),
        *([f"{minutes(left)} left"] if left is not None else []),
    ]
    return f"{bar.name}: {', '.join(parts)}{comment}"


def end_line(bar: Bar) -> str:
    """What is written when a stage is done."""
    took, rate = f"in {minutes(bar.elapsed)}", bar.mean_rate
    if bar.total is None and not bar.done:
        return f"{bar.name}: done {took}"
    facts = [
        *([speed(rate, bar.unit)] if rate is not None else []),
        *([f"{_kept(bar)} there already"] if bar.skipped else []),
    ]
    whole = bar.total is not None and round(bar.done) == round(bar.total)
    finished = _counted(bar.done, bar.unit) if whole else amount(bar, share=False)
    return f"{bar.name}: done, {finished} {took}" + (f" ({', '.join(facts)})" if facts else "")


def stop_line(bar: Bar) -> str:
    """What is written when a stage ends before it is done."""
    unknown = bar.total is None and not bar.done
    return f"{bar.name}: stopped after {minutes(bar.elapsed) if unknown else amount(bar, share=False)}"


def amount(bar: Bar, *, share: bool = True) -> str:
    """How much is done, and of how much; a total that was exceeded was only an estimate and is left out."""
    if bar.total is None or round(bar.done) > round(bar.total):
        return _counted(bar.done, bar.unit)
    percent = f" ({100 * bar.done // bar.total:.0f}%)" if share and bar.total else ""
    return f"{bar.done:,.0f} of {_counted(bar.total, bar.unit)}{percent}"


def _counted(number: float, unit: str) -> str:
    text = f"{number:,.0f}"
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}".rstrip()


def _kept(bar: Bar) -> str:
    return "all" if bar.skipped == bar.done == bar.total else f"{bar.skipped:,.0f}"


def speed(rate: float, unit: str) -> str:
    """Work per second."""
    return f"{rate:,.0f} {unit}/s" if rate >= 100 else f"{rate:.1f} {unit}/s" if rate >= 1 else f"{rate:.2g} {unit}/s"


def minutes(seconds: float) -> str:
    """A duration in minutes and seconds, as 2:07, from an hour on 1:02:07."""
    whole, rest = divmod(round(seconds), 60)
    hours, whole = divmod(whole, 60)
    return f"{hours}:{whole:02}:{rest:02}" if hours else f"{whole}:{rest:02}"
