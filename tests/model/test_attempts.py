"""A batch that fails is halved until the row at fault is alone; what is no row's fault stops everything."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from competency_gaps.items.item import Reason
from competency_gaps.model.batches import OUT_OF_MEMORY, Attempts, OutOfMemoryError, ran_out_of_memory
from competency_gaps.util.errors import MachineError, UserError

LM: Any = SimpleNamespace(device=torch.device("meta"))
"""In place of a language model: it is only handed on."""
LENGTHS = [7, 3, 9, 1, 5, 5, 8, 2, 6, 4]


class Model:
    """Squares numbers, fails on some, and fits only so many numbers x lengths at once."""

    def __init__(self, *, bad=(), error=ValueError, fits=10**9, memory_error=torch.OutOfMemoryError):
        self.bad, self.error, self.fits, self.memory_error = set(bad), error, fits, memory_error
        self.sizes: list[int] = []

    def __call__(self, lm: object, rows: np.ndarray) -> list[int]:
        self.sizes.append(len(rows) * max(LENGTHS[row] for row in rows))
        if self.sizes[-1] > self.fits:
            raise self.memory_error("no room")
        if self.bad & set(rows.tolist()):
            raise self.error("cannot read <U+202E>\u202e\nthe rest")
        return [int(row) ** 2 for row in rows]


def results(model, budget=40, attempts=None) -> dict:
    by_row: dict = {}
    for rows, made in (attempts or Attempts()).batches(LM, "squares", LENGTHS, budget, model):
        for row, value in zip(rows.tolist(), made, strict=True):
            assert row not in by_row
            by_row[row] = value
    assert sorted(by_row) == list(range(len(LENGTHS)))
    return by_row


@pytest.mark.parametrize(("bad", "budget"), [((), 40), ((0, 3, 7), 40), ((4, 5), 1000), (tuple(range(1, 10)), 40)])
def test_only_rows_that_fail_alone_are_lacking(bad, budget):
    made = results(Model(bad=bad), budget)
    lacking = {row: value for row, value in made.items() if isinstance(value, Reason)}
    assert set(lacking) == set(bad)
    assert all(made[row] == row**2 for row in made if row not in lacking)
    for value in lacking.values():
        assert str(value) == "the model failed on it: ValueError: cannot read <U+202E><U+202E>"


@pytest.mark.parametrize("fits", [3, 20, 10**9])
def test_memory(fits, caplog):
    model = Model(fits=fits)
    with caplog.at_level(logging.WARNING):
        made = results(model)
    assert {row for row, value in made.items() if value == OUT_OF_MEMORY} == {
        row for row, length in enumerate(LENGTHS) if length > fits
    }
    assert all(made[row] in (row**2, OUT_OF_MEMORY) for row in made)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == (fits < 40)
    assert all("4 x 9 tokens" in text and "below 40" in text for text in warnings)


def test_what_is_no_failure_of_a_row_is_not_swallowed():
    for error in (UserError, MachineError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            results(Model(bad=[2], error=error))
    with pytest.raises(MachineError, match=r"the device failed: RuntimeError: CUDA error: device-side assert"):
        results(Model(fits=20, memory_error=lambda _: RuntimeError("CUDA error: device-side assert triggered")))


@pytest.mark.parametrize("fits", [20, 10**9])
def test_what_was_read_before_changes_nothing(fits):
    """A resumed run, and each of several workers, has read other rows before, or none: results and batches agree."""

    def batches(attempts):
        model = Model(bad=(2, 6, 0), fits=fits)
        return [(rows.tolist(), made) for rows, made in attempts.batches(LM, "squares", LENGTHS, 40, model)]

    fresh = batches(Attempts())
    assert sorted(row for rows, _ in fresh for row in rows) == list(range(10))
    for before in (Model(fits=fits), Model(bad=range(10), fits=fits), Model(bad=[5], fits=fits)):
        attempts = Attempts()
        for budget in (1, 30, 40, 1000):
            list(attempts.batches(LM, "squares", LENGTHS, budget, before))
        assert batches(attempts) == fresh


def test_what_running_out_of_memory_looks_like():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    known = [
        caught.value,
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 17 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
        OutOfMemoryError("memory ran out"),
    ]
    assert all(map(ran_out_of_memory, known))
    assert not any(map(ran_out_of_memory, [RuntimeError("index out of range"), ValueError("out of memory")]))


def test_what_was_too_large_for_memory_is_not_tried_again():
    attempts, model = Attempts(), Model(fits=20)

    def too_large():
        return sum(size > 20 for size in model.sizes)

    results(model, 1000, attempts)
    first = too_large()
    assert first > 0
    results(model, 1000, attempts)
    assert too_large() == first
    list(attempts.batches(LM, "another kind", LENGTHS, 1000, model))  # of which nothing is known yet
    assert too_large() > first
