"""Run batches through a model, and halve a batch that fails until the row at fault is alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from competency_gaps.errors import CompetencyGapsError, MachineError, UserError
from competency_gaps.items.remark import Remark
from competency_gaps.model.batches import plan_batches
from competency_gaps.model.forward import ran_out_of_memory
from competency_gaps.text import shorten, visible

log = logging.getLogger(__name__)

T = TypeVar("T")

OUT_OF_MEMORY = Remark("memory_ran_out")
"""Why a row has no result that does not fit into memory by itself."""
_DOUBTFUL = 3
"""Single rows on which a kind of pass that never succeeded must fail before the shortest other row decides whether the
model is at fault. Rows are tried longest first, and what makes the longest fail may be their length."""
_DEVICE_FAULTS = (
    *("CUDA error", "HIP error", "cuDNN error", "MIOpen Error", "NCCL error", "device-side assert"),
    *("illegal memory access", "misaligned address", "unspecified launch failure", "CUBLAS_STATUS", "CUDNN_STATUS"),
)
"""Signs of faults after which a device fails at whatever it is given, so no row can be shown to be at fault."""


class Attempts:
    """Runs the batches of one run, so that a row that cannot be read costs only its own result.

    A batch that fails is halved and its halves are tried, down to single rows, each with a reason if it fails. Neither
    errors of this package nor interrupts are failures of a batch. What was too large for memory is not tried again.
    """

    def __init__(self) -> None:
        self._succeeded: set[str] = set()
        """Kinds of passes that succeeded at least once."""
        self._most: dict[str, float] = {}
        """Rows x longest that fit, of each kind of pass for which memory ran out."""
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
    ) -> Iterator[tuple[np.ndarray, Sequence[T | Remark]]]:
        """Run rows in batches as :func:`~competency_gaps.model.batches.plan_batches` plans them.

        Parameters
        ----------
        kind
            What the passes are for, which tells a model that fails at this from one that fails on some rows.
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
        UserError
            If at least three rows fail alone, then also the shortest of the others, for another reason than memory, and
            no pass of this kind ever succeeded.
        MachineError
            If the device itself fails.
        """
        waiting = plan_batches(lengths, token_budget, cached=cached, logits=logits)[::-1]
        failed = 0
        while waiting:
            rows = waiting.pop()
            longest, half = max(lengths[row] for row in rows), (len(rows) + 1) // 2
            if len(rows) == 1 or len(rows) * longest <= self._most.get(kind, math.inf):
                made = self._try(kind, rows, run)
                if isinstance(made, list):
                    yield rows, made
                    continue
                if len(rows) == 1:
                    yield rows, [made]
                    failed += made != OUT_OF_MEMORY
                    if failed >= _DOUBTFUL and kind not in self._succeeded and waiting:
                        shortest = _take_shortest(waiting, lengths)
                        made = self._try(kind, shortest, run, decides_after=failed)
                        yield shortest, made if isinstance(made, list) else [made]
                    continue
                if made == OUT_OF_MEMORY:
                    self._most[kind] = half * longest
                    self._warn(len(rows), longest, token_budget)
            waiting += [rows[half:], rows[:half]]

    def _try(
        self, kind: str, rows: np.ndarray, run: Callable[[np.ndarray], Sequence[T]], *, decides_after: int = 0
    ) -> list[T] | Remark:
        """Results of rows, or why there are none.

        Parameters
        ----------
        decides_after
            If not 0, so many single rows failed that the model is at fault if this row fails too.
        """
        try:
            made = list(run(rows))
        except Exception as error:
            if ran_out_of_memory(error):
                return OUT_OF_MEMORY
            if isinstance(error, CompetencyGapsError):
                raise
            words = _in_words(error)
            if any(sign in str(error) for sign in _DEVICE_FAULTS):
                raise MachineError(
                    f"the device fails: {words}. Run again: what is finished is kept. If it fails at the same place "
                    f"again, a run on the CPU (model.device: cpu) shows which input is at fault."
                ) from error
            if decides_after:
                raise UserError(
                    f"the model fails on {decides_after + 1} inputs, read one by one, the shortest among them, and on "
                    f"nothing it succeeds: {words}. Check that its files are whole, and that the installed "
                    f"transformers can run it."
                ) from error
            return Remark("model_failed", quotes=(words,))
        self._succeeded.add(kind)
        return made

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


def _take_shortest(waiting: list[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
    """Remove the shortest row from the batches that wait; int64 of shape (1,)."""
    row = min(np.concatenate(waiting), key=lambda row: lengths[row])
    waiting[:] = [left for rows in waiting if len(left := rows[rows != row])]
    return np.asarray([row])


def _in_words(error: Exception) -> str:
    """An error's type and the first line of its message, in one short line."""
    lines = str(error).strip().splitlines()
    return shorten(visible(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__), 200)
