"""Run batches through a model, and halve a batch that fails until the row at fault is alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from competency_gaps.errors import CompetencyGapsError
from competency_gaps.items.item import Reason
from competency_gaps.model.batches import plan_batches
from competency_gaps.model.forward import device_fault, ran_out_of_memory
from competency_gaps.text import error_line

log = logging.getLogger(__name__)

T = TypeVar("T")

OUT_OF_MEMORY = Reason("memory_ran_out", "memory ran out on it, read alone")
"""Why a row has no result that does not fit into memory by itself."""


class Attempts:
    """Runs the batches of one run, so that a row that cannot be read costs only its own result.

    A batch that fails is halved and its halves are tried, down to single rows, each with a reason if it fails. Neither
    errors of this package nor interrupts are failures of a batch. Whether a row has a result depends on the row alone,
    not on what this process read before, so that resumed runs and any number of workers exclude the same. A batch at
    least as large as the smallest for which memory ran out is halved without being tried, as it would likely fail too.
    """

    def __init__(self) -> None:
        self._too_large: dict[str, int] = {}
        """Smallest rows x longest for which memory ran out, of each kind of pass."""
        self._warned = False

    def batches(
        self,
        kind: str,
        lengths: Sequence[int],
        token_budget: int,
        run: Callable[[np.ndarray], Sequence[T]],
        *,
        cached: int = 0,
        logits: int = 0,
    ) -> Iterator[tuple[np.ndarray, Sequence[T | Reason]]]:
        """Run rows in batches as :func:`~competency_gaps.model.batches.plan_batches` plans them.

        Parameters
        ----------
        kind
            What the passes are for: each kind takes another amount of memory.
        lengths, token_budget, cached, logits
            As of ``plan_batches``.
        run
            Gives the results of some rows, one each in order: int64 of shape (rows,) indices into ``lengths``. May be
            called again with some of the rows if it fails.

        Yields
        ------
        tuple
            Rows, and for each its result, or the reason why there is none. Every row occurs once.

        Raises
        ------
        MachineError
            If the device itself fails.
        """
        waiting = plan_batches(lengths, token_budget, cached=cached, logits=logits)[::-1]
        while waiting:
            rows = waiting.pop()
            longest, half = max(lengths[row] for row in rows), (len(rows) + 1) // 2
            size = len(rows) * longest
            if len(rows) == 1 or size < self._too_large.get(kind, math.inf):
                made = self._try(rows, run)
                if isinstance(made, list):
                    yield rows, made
                    continue
                if len(rows) == 1:
                    yield rows, [made]
                    continue
                if made == OUT_OF_MEMORY:
                    self._too_large[kind] = size
                    self._warn(len(rows), longest, token_budget)
            waiting += [rows[half:], rows[:half]]

    @staticmethod
    def _try(rows: np.ndarray, run: Callable[[np.ndarray], Sequence[T]]) -> list[T] | Reason:
        """Results of rows, or why there are none."""
        try:
            return list(run(rows))
        except Exception as error:
            if ran_out_of_memory(error):
                return OUT_OF_MEMORY
            if isinstance(error, CompetencyGapsError):
                raise
            if fault := device_fault(error):
                raise fault from error
            return Reason("model_failed", f"the model fails on it: {error_line(error)}")

    def _warn(self, rows: int, longest: int, token_budget: int) -> None:
        """Warn once per run."""
        if not self._warned:
            self._warned = True
            log.warning(
                "memory ran out on a batch of %d x %d tokens: such batches are halved until they fit. "
                "A batch_tokens lower than %d avoids this.",
                rows,
                longest,
                token_budget,
            )
