"""About how long a run will take and how much memory it needs, before it begins.

Counted are the multiplications of the forward passes; how fast this machine multiplies is measured. It is an estimate:
attention, caches and the SAE are one factor, and how much a model writes is not known before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from competency_gaps.activations.extract import Extractor
from competency_gaps.activations.pooling import CHUNK_ELEMENTS
from competency_gaps.activations.spans import NEEDS_RESPONSE
from competency_gaps.config import Span
from competency_gaps.items.policy import Continuations, Generation, Sentences
from competency_gaps.model.load import LanguageModel
from competency_gaps.model.prefixes import shared_start
from competency_gaps.model.prepare import PreparedItem
from competency_gaps.model.size import LIBRARIES, batch_size, number_size, parameters, weights_size
from competency_gaps.model.speed import matmul_speed
from competency_gaps.progress_bar import minutes
from competency_gaps.text import plural, size

PRODUCTS = 0.4
"""Share of the time that goes into products of matrices (measured: perf/demo.py); the rest: attention, caches, SAE."""
_CHARACTERS = 3.5
"""Characters of a token of an option or a sentence, which is not tokenised for an estimate."""
_BANDWIDTH = {"cpu": 15e9, "mps": 100e9, "cuda": 1.2e12}
"""Bytes of weights that a device reads in a second, roughly: each token of an answer needs all of them once a batch."""


@dataclass(frozen=True)
class Estimate:
    """What reading a suite costs."""

    items: int
    """Items that take part."""
    tokens: int
    """Tokens that are computed; what prompts share counts once."""
    written: int
    """Tokens of answers, at most."""
    seconds: float
    """About how long it takes on this machine, > 0."""
    memory: int
    """Bytes of libraries, weights, SAE and one batch, at most."""
    operations: float
    """Floating-point operations of the passes' products of matrices."""
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
) -> Estimate:
    """Time and memory that a run's passes need on this machine.

    Parameters
    ----------
    prepared
        Per benchmark, its items as the model reads them.
    gate_tokens
        Tokens on which the SAE is measured before, or all of the run's if these are fewer.

    Returns
    -------
    Estimate
    """
    lm = extractor.lm
    device, dtype = lm.device.type, str(lm.identity["dtype"])
    speed = matmul_speed(str(lm.device), dtype)
    layers = int(lm.identity["layers"])
    part = 1.0 if extractor.hook.layer is None else min(1.0, (extractor.hook.layer + 1) / layers)
    full, spelt, partial, prompts, steps, written, items = 0.0, 0.0, 0.0, 0, 0, 0, 0
    for ones in prepared.values():
        kept = [one for one in ones if one.excluded is None]
        items += len(kept)
        prompts += sum(len(one.tokens.ids) for one in kept)
        asked = [one for one in kept if one.request is not None]
        full += _prompt_tokens(lm, asked)
        spelt += sum(_option_tokens(one) for one in asked)
        own_pass = kept if span in NEEDS_RESPONSE else [one for one in kept if not _reads_prompt(one)]
        partial += sum(len(one.tokens.ids) for one in own_pass)
        answers = [one.request.max_new_tokens for one in asked if isinstance(one.request, Generation)]
        written += sum(answers)
        rows = max(1, extractor.batch_tokens // max((len(one.tokens.ids) for one in kept), default=1))
        steps += sum(answers) // rows
    partial += min(gate_tokens, prompts)
    body, head = parameters(lm.model)
    operations = 2 * body * (full + spelt + written + part * partial) + 2 * head * (items + spelt + written)
    seconds = operations / (PRODUCTS * speed) + steps * (body + head) * number_size(dtype) / _BANDWIDTH.get(
        device, _BANDWIDTH["cuda"]
    )
    memory = LIBRARIES + weights_size(lm.model, dtype) + batch_size(lm.model, dtype, extractor.batch_tokens)
    memory += 8 * (extractor.sae.d_sae * extractor.sae.d_in + CHUNK_ELEMENTS)
    return Estimate(items, round(full + spelt + partial), written, seconds, memory, operations, speed)


def _prompt_tokens(lm: LanguageModel, asked: Sequence[PreparedItem]) -> int:
    """Tokens of the prompts that a benchmark's requests read; what they share once."""
    prompts = [one.tokens.ids for one in asked if _reads_prompt(one)]
    shared = shared_start(lm, prompts)
    return sum(len(ids) - shared for ids in prompts)


def _option_tokens(one: PreparedItem) -> float:
    """About so many tokens of options or sentences are read; an option's last token is only predicted."""
    if not isinstance(one.request, Continuations | Sentences):
        return 0.0
    predicted = len(one.request.texts) if isinstance(one.request, Continuations) else 0
    return sum(max(1.0, len(text) / _CHARACTERS) for text in one.request.texts) - predicted


def _reads_prompt(one: PreparedItem) -> bool:
    return isinstance(one.request, Continuations | Generation)
