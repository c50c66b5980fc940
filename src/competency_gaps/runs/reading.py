"""What a run without a reading lacks: how long a reading would take here, and the command that adds one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from competency_gaps.text import plural

if TYPE_CHECKING:
    from competency_gaps.runs.tables import RunTables

_TOKENS = 3.5e-9
"""Tokens that the bundled model and SAE read in the time of one floating-point operation of all cores, in a large
matrix product [measured]: 1,050 a second on two cores of 148 billion operations a second each."""
_LETTERS = 4.0
"""Characters of a token of English."""


def reading_needed(run: RunTables, what: str) -> str:
    """Say that something needs a reading, how long the bundled model would take on this machine, and the command."""
    minutes = reading_minutes(run.items)
    time_needed = f"about {plural(round(minutes), 'minute')}" if minutes >= 1 else "less than a minute"
    made_by = str(run.manifest["command"])
    logs = run.manifest.get("logs")
    command = f"cgaps run --log {logs} --out RUN" if logs or not made_by.startswith("cgaps run ") else made_by
    return (
        f"{what} needs a reading of the items by a model and its SAE, which this run does not have. The bundled model "
        f"would take {time_needed} on this machine's processor for {plural(run.items.height, 'item')}: {command} --read"
    )


def reading_minutes(items: pl.DataFrame) -> float:
    """Estimate how many minutes the bundled model takes to read items on all cores of this machine."""
    letters = items.select(pl.col("prompt").str.len_chars().sum()).item() or 0
    letters += items.select(pl.col("choices").list.eval(pl.element().str.len_chars()).list.sum().sum()).item() or 0
    return letters / _LETTERS / (_TOKENS * _speed() * (os.cpu_count() or 1)) / 60


def _speed() -> float:
    """Floating-point operations per second of one core, in a matrix product of the bundled model's shape."""
    a, b = np.ones((512, 576), np.float32), np.ones((576, 1536), np.float32)
    best = np.inf
    with threadpool_limits(1):
        for _ in range(10):
            begin = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - begin)
    return float(2 * a.shape[0] * a.shape[1] * b.shape[1] / best)
