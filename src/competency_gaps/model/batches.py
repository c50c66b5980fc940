"""Run sequences in batches of similar length, in threads; halve a batch that fails, until the row at fault is alone."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from competency_gaps.items.item import Reason
from competency_gaps.util.errors import CompetencyGapsError, MachineError
from competency_gaps.util.text import error_line

if TYPE_CHECKING:
    import torch

    from competency_gaps.model.load import LanguageModel

log = logging.getLogger(__name__)
T = TypeVar("T")

CACHED_PER_BUDGET_TOKEN = 4
"""Most tokens whose keys and values are in memory, per token of the budget, which counts as at least
``PROMPT_TOKENS_AT_ONCE`` here."""
PROMPT_TOKENS_AT_ONCE = 4096
"""Default for the tokens of prompts answered at once: each step reads all weights for one token of each prompt."""
MAX_READERS = 8
"""Most batches that are read at once: only one thread at a time runs Python between a model's operations."""

OUT_OF_MEMORY = Reason("memory_ran_out", "memory ran out even on this item alone")
"""Why a row that does not fit into memory even by itself has no result."""
_TOO_LARGE = (
    "memory ran out on a batch of %d x %d tokens: such batches are halved until they fit. A batch_tokens below %d "
    "avoids this."
)
_DEVICE_FAULTS = (
    *("CUDA error", "HIP error", "cuDNN error", "MIOpen Error", "NCCL error", "device-side assert"),
    *("illegal memory access", "misaligned address", "unspecified launch failure", "CUBLAS_STATUS", "CUDNN_STATUS"),
)
"""Words in errors after which a device fails on any input, so that no row can be shown to be at fault."""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "STATUS_ALLOC_FAILED")
"""Words in a plain RuntimeError with which allocators and CUDA's libraries report that memory ran out."""


def token_budget_on(device: torch.device, chosen: int | None = None) -> int:
    """Return the tokens to read at once: ``chosen``, else 512 on a CPU, whose caches are small, or 4096."""
    return chosen or (512 if device.type == "cpu" else PROMPT_TOKENS_AT_ONCE)


def plan_batches(lengths: Sequence[int] | np.ndarray, token_budget: int, *, cached: int = 0) -> list[np.ndarray]:
    """Split sequences, sorted by length, into batches of bounded padded size.

    Parameters
    ----------
    lengths : sequence of int of shape (sequences,)
        Tokens per sequence.
    token_budget
        Largest product of rows and longest sequence in a batch. A longer sequence forms a batch of its own.
    cached
        Tokens before each sequence whose keys and values are already in memory.

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
        rows = min(
            token_budget // longest,
            CACHED_PER_BUDGET_TOKEN * max(token_budget, PROMPT_TOKENS_AT_ONCE) // (cached + longest),
        )
        batches.append(order[start : start + max(1, rows)])
        start += len(batches[-1])
    return batches


def common_start(sequences: Sequence[np.ndarray]) -> int:
    """Return the length of the longest common prefix of one or more sequences."""
    shortest = min(len(sequence) for sequence in sequences)
    starts = np.stack([sequence[:shortest] for sequence in sequences])
    differs = np.flatnonzero((starts != starts[0]).any(axis=0))
    return int(differs[0]) if len(differs) else shortest


def pad(sequences: Sequence[np.ndarray], pad_id: int) -> np.ndarray:
    """Return sequences of ids as one int64 matrix of shape (rows, longest), padded on the right."""
    longest = max(len(sequence) for sequence in sequences)
    out = np.full((len(sequences), longest), pad_id, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        out[row, : len(sequence)] = sequence
    return out


class OutOfMemoryError(MachineError):
    """A batch does not fit into memory."""


def ran_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out, on any device."""
    import torch

    if isinstance(error, (OutOfMemoryError, MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def device_fault(error: Exception) -> MachineError | None:
    """Return the error to raise if the device itself failed, or None if it did not."""
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

    A processor reads one batch on each core: threads that share an operation wait for each other, long if other work
    takes a core from one of them (``perf/beside_work.py``). Each reads with a copy of the model, which has the same
    weights and hooks of its own.
    """

    def __init__(self) -> None:
        self._too_large: dict[str, int] = {}
        """By kind of pass: the smallest padded size (rows x longest) at which memory ran out."""
        self._copies: list[LanguageModel] = []
        self._stopped = False
        """Whether nobody waits any longer for what the copies still read."""

    def batches(
        self,
        lm: LanguageModel,
        kind: str,
        lengths: Sequence[int],
        token_budget: int,
        run: Callable[[LanguageModel, np.ndarray], Sequence[T]],
        *,
        cached: int = 0,
    ) -> Iterator[tuple[np.ndarray, Sequence[T | Reason]]]:
        """Run rows in batches as :func:`plan_batches` plans them, however many are read at once.

        Parameters
        ----------
        kind
            What the passes are for: each kind takes another amount of memory.
        lengths, token_budget, cached
            As of ``plan_batches``.
        run
            Gives a model's results of some rows, one each in order: int64 of shape (rows,) indices into ``lengths``.
            May be called again with some of the rows if it fails, and in several threads.

        Yields
        ------
        tuple
            Rows, and for each its result, or the reason why there is none. Every row occurs once.

        Raises
        ------
        MachineError
            If the device itself fails.
        """
        waiting = plan_batches(lengths, token_budget, cached=cached)[::-1]
        running: dict[Future[list[T] | Reason], tuple[LanguageModel, np.ndarray]] = {}
        with self._readers(lm, len(waiting)) as (idle, submit):
            while waiting or running:
                while waiting and idle:
                    rows = waiting.pop()
                    if len(rows) > 1 and _size(rows, lengths) >= self._too_large.get(kind, math.inf):
                        waiting += _halves(rows)
                        continue
                    reader = idle.pop()
                    running[submit(self._try, reader, rows, run)] = reader, rows
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    reader, rows = running.pop(done)
                    idle.append(reader)
                    outcome = done.result()
                    if isinstance(outcome, list):
                        yield rows, outcome
                    elif len(rows) == 1:
                        yield rows, [outcome]
                    else:
                        if outcome == OUT_OF_MEMORY:
                            size = _size(rows, lengths)
                            if not self._too_large:
                                log.warning(_TOO_LARGE, len(rows), size // len(rows), token_budget)
                            self._too_large[kind] = size
                        waiting += _halves(rows)

    @contextmanager
    def _readers(self, lm: LanguageModel, batches: int) -> Iterator[tuple[list[LanguageModel], Callable[..., Any]]]:
        """Yield the models that may read at once, and a function that submits a call.

        Batches within a batch are read in its own thread.
        """
        import torch

        threads = torch.get_num_threads()
        count = min(batches, threads, MAX_READERS)
        on_processor = lm.device.type == "cpu" and not hasattr(lm.model, "hf_device_map")
        if count < 2 or not on_processor or any(lm is known for known in self._copies):
            yield [lm], _call
            return
        while len(self._copies) < count:
            self._copies.append(self._copy(lm))
        self._stopped = False
        pool = ThreadPoolExecutor(count, "reader", initializer=torch.set_num_threads, initargs=(threads // count,))
        try:
            yield self._copies[:count], pool.submit
        finally:
            self._stopped = True
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)

    def _copy(self, lm: LanguageModel) -> LanguageModel:
        """Return a copy of a model with its own modules and hooks, but the same weights."""
        weights = {id(tensor): tensor for tensor in (*lm.model.parameters(), *lm.model.buffers())}
        model = copy.deepcopy(lm.model, weights)
        model.register_forward_pre_hook(self._go_on)
        return replace(lm, model=model)

    def _go_on(self, *_: Any) -> None:
        """Raise RuntimeError if nobody waits for the result any longer; ends a long answer."""
        if self._stopped:
            raise RuntimeError("stopped")

    @staticmethod
    def _try(
        lm: LanguageModel, rows: np.ndarray, run: Callable[[LanguageModel, np.ndarray], Sequence[T]]
    ) -> list[T] | Reason:
        """Return the results of rows, or why there are none."""
        try:
            return list(run(lm, rows))
        except Exception as error:
            if ran_out_of_memory(error):
                return OUT_OF_MEMORY
            if isinstance(error, CompetencyGapsError):
                raise
            if fault := device_fault(error):
                raise fault from error
            return Reason("model_failed", f"the model failed on it: {error_line(error)}")


def _call(function: Callable[..., T], *arguments: Any) -> Future[T]:
    """Call a function at once, and return a finished future."""
    future: Future[T] = Future()
    future.set_result(function(*arguments))
    return future


def _size(rows: np.ndarray, lengths: Sequence[int]) -> int:
    """Return the tokens of a batch after padding."""
    return len(rows) * max(lengths[row] for row in rows)


def _halves(rows: np.ndarray) -> list[np.ndarray]:
    """Return the two halves of a batch, first the one with the shorter rows."""
    half = (len(rows) + 1) // 2
    return [rows[half:], rows[:half]]
