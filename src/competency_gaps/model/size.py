"""How large a model is, in parameters and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from competency_gaps.model.load import text_config
from competency_gaps.model.speed import free_memory
from competency_gaps.text import size

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number, by torch's name of its data type."""


def model_memory(model: PreTrainedModel, dtype: str, batch_tokens: int = 0) -> int:
    """Bytes of a model's weights and of one batch with its logits."""
    config = text_config(model)
    width = 12 * int(config.hidden_size) + int(config.vocab_size)
    return BYTES[dtype] * (_all_parameters(model) + batch_tokens * width)


def memory_line(model: PreTrainedModel, dtype: str, device: str) -> str:
    """Size of a model and the memory that is free, before its weights are read."""
    free = free_memory(device)
    need = model_memory(model, dtype)
    there = "" if free is None else f"; {size(free)} of memory are free"
    short = free is not None and need > free
    advice = ". It will not fit: choose a smaller model, a smaller dtype or device_map" if short else ""
    return f"model: {_all_parameters(model) / 1e6:,.0f} million parameters, {size(need)} in {dtype}{there}{advice}"


def parameters(model: PreTrainedModel) -> tuple[int, int]:
    """Numbers of parameters that multiply each token, and of those that make logits of it."""
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    head = embedding.numel() if output is None else output.weight.numel()
    tied = output is None or output.weight is embedding or bool(getattr(model.config, "tie_word_embeddings", False))
    return _all_parameters(model) - embedding.numel() - (0 if tied else head), head


def _all_parameters(model: PreTrainedModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
