"""Group sequences into batches of similar length, and halve a batch that fails until the row at fault is alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from competency_gaps.errors import CompetencyGapsError, MachineError
from competency_gaps.items.item import Reason
from competency_gaps.text import error_line

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
T = TypeVar("T")

CACHED = 4
"""Tokens whose keys and values may be kept for each token of the budget, which counts as at least
``WRITTEN_AT_ONCE`` here."""
_LOGITS = 4
"""Tokens of the budget per position whose logits are kept: with a large vocabulary, logits are the largest tensor."""
WRITTEN_AT_ONCE = 4096
"""Tokens of prompts that are answered at once where nobody chose: each step reads all weights for one token of each."""

OUT_OF_MEMORY = Reason("memory_ran_out", "memory ran out even on this item alone")
"""Why a row has no result that does not fit into memory by itself."""
_TOO_LARGE = (
    "memory ran out on a batch of %d x %d tokens: such batches are halved until they fit. A batch_tokens below %d "
    "avoids this."
)
_DEVICE_FAULTS = (
    *("CUDA error", "HIP error", "cuDNN error", "MIOpen Error", "NCCL error", "device-side assert"),
    *("illegal memory access", "misaligned address", "unspecified launch failure", "CUBLAS_STATUS", "CUDNN_STATUS"),
)
"""Signs of faults after which a device fails at whatever it is given, so no row can be shown to be at fault."""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")
"""What the allocators of processors and devices say, and CUDA's libraries, where they raise a plain RuntimeError."""


def token_budget_on(device: torch.device, chosen: int | None = None) -> int:
    """Tokens that are read at once: few on a processor, of whose caches more would run out, unless somebody chose."""
    return chosen or (512 if device.type == "cpu" else WRITTEN_AT_ONCE)


def plan_batches(
    lengths: Sequence[int] | np.ndarray, token_budget: int, *, cached: int = 0, logits: int = 0
) -> list[np.ndarray]:
    """Split sequences, sorted by length, into batches of bounded padded size.

    Parameters
    ----------
    lengths : sequence of int of shape (sequences,)
        Tokens per sequence.
    token_budget
        Largest product of rows and longest sequence in a batch. A longer sequence forms a batch of its own.
    cached
        Tokens before each sequence whose keys and values are already in memory.
    logits
        Positions of each row whose logits are kept; 0: none.

    Returns
    -------
    list of ndarray of int64
        Indices of each batch's sequences, longest first; every index occurs once. The longest batch comes first, so
        that too little memory shows at the beginning.
    """
    sizes = np.asarray(lengths)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    batches: list[np.ndarray] = []
    start = 0
    while start < len(order):
        longest = max(1, int(sizes[order[start]]))
        rows = min(token_budget // longest, CACHED * max(token_budget, WRITTEN_AT_ONCE) // (cached + longest))
        rows = max(1, min(rows, token_budget // (_LOGITS * logits)) if logits else rows)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def common_start(sequences: Sequence[np.ndarray]) -> int:
    """Length of the longest common prefix of the sequences; at least one is needed."""
    shortest = min(len(sequence) for sequence in sequences)
    starts = np.stack([sequence[:shortest] for sequence in sequences])
    differs = np.flatnonzero((starts != starts[0]).any(axis=0))
    return int(differs[0]) if len(differs) else shortest


def pad(sequences: Sequence[np.ndarray], pad_id: int) -> np.ndarray:
    """Stack sequences of ids into one int64 matrix of shape (rows, longest), padded on the right."""
    longest = max(len(sequence) for sequence in sequences)
    out = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
    return out


class OutOfMemoryError(MachineError):
    """A batch does not fit into memory."""


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    import torch

    if isinstance(error, (OutOfMemoryError, MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def device_fault(error: Exception) -> MachineError | None:
    """The error to raise where a device itself fails; None: it does not."""
    if not any(sign in str(error) for sign in _DEVICE_FAULTS):
        return None
    return MachineError(
        f"the device failed: {error_line(error)}. Repeat the command; finished work is kept. If it fails at the "
        f"same place again, a run on the CPU (model.device: cpu) shows which input is at fault."
    )


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
        """Run rows in batches as :func:`plan_batches` plans them.

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
                    if not self._warned:
                        log.warning(_TOO_LARGE, len(rows), longest, token_budget)
                        self._warned = True
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
            return Reason("model_failed", f"the model failed on it: {error_line(error)}")
