"""Estimate a run's time and memory before it begins.

The time is the number of multiplications in the forward passes over this machine's measured speed. Attention, caches
and the SAE are one constant factor, and the length of generated answers is an upper bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from competency_gaps.activations.extract import Extractor
from competency_gaps.activations.pooling import chunk_tokens
from competency_gaps.activations.spans import NEEDS_RESPONSE
from competency_gaps.config import Span
from competency_gaps.items.policy import Continuations, Generation, Sentences
from competency_gaps.model.batches import WRITTEN_AT_ONCE
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import shared_start
from competency_gaps.model.prompts import PreparedItem
from competency_gaps.model.size import LIBRARIES, batch_size, matmul_speed, number_size, parameters, weights_size
from competency_gaps.progress import minutes
from competency_gaps.text import plural, size

PRODUCTS = 0.4
"""Share of the time spent in matrix products (measured: perf/demo.py); the rest is attention, caches and the SAE."""
_CHARACTERS = 3.5
"""Characters per token of options and sentences, which are not tokenised for an estimate."""
_BANDWIDTH = {"cpu": 15e9, "mps": 100e9, "cuda": 1.2e12}
"""Memory bandwidth in bytes per second, roughly: each step of generation reads all weights once per batch."""


@dataclass(frozen=True)
class PassEstimate:
    """Cost of a run's forward passes."""

    items: int
    """Kept items."""
    tokens: int
    """Tokens computed; a shared start of prompts counts once."""
    written: int
    """Most tokens of answers."""
    seconds: float
    """Estimated time on this machine, > 0."""
    memory: int
    """Most bytes of libraries, weights, SAE and one batch."""
    operations: float
    """Floating-point operations of the passes' matrix products."""
    speed: float
    """Measured floating-point operations per second."""

    def sentence(self) -> str:
        """One line for people."""
        answers = f", answers of {self.written:,} tokens at most" if self.written else ""
        return (
            f"about {minutes(self.seconds)} for {plural(self.items, 'item')} ({self.tokens:,} tokens{answers}, "
            f"{self.speed / 1e9:,.0f} billion operations a second measured) and at most {size(self.memory)} of memory"
        )


def estimate_reading(
    prepared: Mapping[str, Sequence[PreparedItem]], extractor: Extractor, span: Span, gate_tokens: int
) -> PassEstimate:
    """Estimate the time and memory of a run's passes on this machine.

    Parameters
    ----------
    prepared
        Per benchmark, its items as the model reads them.
    gate_tokens
        Tokens on which the gate measures the SAE, at most all of the run's.
    """
    lm = extractor.lm
    device, dtype = lm.device.type, str(lm.identity["dtype"])
    speed = matmul_speed(str(lm.device), dtype)
    layers = int(lm.identity["layers"])
    part = 1.0 if extractor.hook.layer is None else min(1.0, (extractor.hook.layer + 1) / layers)
    at_once = extractor.batch_tokens or WRITTEN_AT_ONCE
    full, spelt, partial, prompts, steps, written, items = 0.0, 0.0, 0.0, 0, 0, 0, 0
    for benchmark in prepared.values():
        kept = [item for item in benchmark if item.excluded is None]
        items += len(kept)
        prompts += sum(len(item.tokens.ids) for item in kept)
        asked = [item for item in kept if item.request is not None]
        full += _prompt_tokens(lm, asked)
        spelt += sum(_option_tokens(item) for item in asked)
        own_pass = kept if span in NEEDS_RESPONSE else [item for item in kept if not _reads_prompt(item)]
        partial += _tokens_read(lm, [item.tokens.ids for item in own_pass])
        answers = [item.request.max_new_tokens for item in asked if isinstance(item.request, Generation)]
        written += sum(answers)
        rows = max(1, at_once // max((len(item.tokens.ids) for item in kept), default=1))
        steps += sum(answers) // rows
    partial += min(gate_tokens, prompts)
    body, head = parameters(lm.model)
    operations = 2 * body * (full + spelt + written + part * partial) + 2 * head * (items + spelt + written)
    seconds = operations / (PRODUCTS * speed) + steps * (body + head) * number_size(dtype) / _BANDWIDTH.get(
        device, _BANDWIDTH["cuda"]
    )
    memory = LIBRARIES + weights_size(lm.model, dtype) + batch_size(lm.model, dtype, at_once)
    memory += 8 * extractor.sae.d_sae * (extractor.sae.d_in + chunk_tokens(extractor.sae))
    return PassEstimate(items, round(full + spelt + partial), written, seconds, memory, operations, speed)


def _prompt_tokens(lm: LanguageModel, asked: Sequence[PreparedItem]) -> int:
    """Tokens of the prompts that a benchmark's requests read."""
    return _tokens_read(lm, [item.tokens.ids for item in asked if _reads_prompt(item)])


def _tokens_read(lm: LanguageModel, prompts: Sequence[np.ndarray]) -> int:
    """Tokens of prompts; a shared start counts once."""
    shared = shared_start(lm, prompts)
    return shared + sum(len(ids) - shared for ids in prompts)


def _option_tokens(item: PreparedItem) -> float:
    """About how many tokens of options or sentences are read; an option's last token is only predicted."""
    if not isinstance(item.request, Continuations | Sentences):
        return 0.0
    predicted = len(item.request.texts) if isinstance(item.request, Continuations) else 0
    return sum(max(1.0, len(text) / _CHARACTERS) for text in item.request.texts) - predicted


def _reads_prompt(item: PreparedItem) -> bool:
    return isinstance(item.request, Continuations | Generation)
