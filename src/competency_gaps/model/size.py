"""How large a model is, in parameters and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from competency_gaps.model.batches import CACHED
from competency_gaps.model.load import text_config
from competency_gaps.model.speed import free_memory
from competency_gaps.text import size

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIBRARIES = 600_000_000
"""Bytes that Python, torch and transformers take (measured on Linux)."""
_CACHES = 2
"""Caches in memory at the same time: a batch of prompts, and the options that follow them."""


def number_size(dtype: str) -> int:
    """Bytes of a number, by torch's name of its data type."""
    import torch

    return int(torch.empty(0, dtype=getattr(torch, dtype)).element_size())


def weights_size(model: PreTrainedModel, dtype: str) -> int:
    """Bytes of a model's weights."""
    return number_size(dtype) * _count(model)


def batch_size(model: PreTrainedModel, dtype: str, batch_tokens: int) -> int:
    """Bytes that a batch needs at most beside the weights: activations, logits, keys and values."""
    config = text_config(model)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = _CACHES * CACHED * 2 * int(config.num_hidden_layers) * int(heads) * int(width)
    return number_size(dtype) * batch_tokens * (12 * int(config.hidden_size) + int(config.vocab_size) + kept)


def memory_line(model: PreTrainedModel, dtype: str, device: str, device_map: Any = None) -> str:
    """Size of a model and the memory that is free, before its weights are read.

    Models that are spread over devices or quantised get no verdict on whether they fit.
    """
    line = f"model: {_count(model) / 1e6:,.0f} million parameters"
    if device_map is not None or getattr(model.config, "quantization_config", None) is not None:
        return line
    need, free = weights_size(model, dtype), free_memory(device)
    line += f", {size(need)} in {dtype}"
    if free is None:
        return line
    advice = ". It will not fit: choose a smaller model, a smaller dtype or device_map" if need > free else ""
    return f"{line}; {size(free)} of memory free{advice}"


def parameters(model: PreTrainedModel) -> tuple[int, int]:
    """Numbers of parameters that multiply each token, and of those that make logits of it.

    Of a mixture of experts, only the share of the experts that read a token.
    """
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    head = embedding.numel() if output is None else output.weight.numel()
    tied = output is None or output.weight is embedding or bool(getattr(model.config, "tie_word_embeddings", False))
    idle = round(_idle_share(text_config(model)) * _count(model, ".experts."))
    return _count(model) - embedding.numel() - (0 if tied else head) - idle, head


def _idle_share(config: Any) -> float:
    """Share of a mixture's experts that do not read a token; 0 for other models."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    experts = next((n for n in (getattr(config, name, None) for name in names) if n), None)
    reading = getattr(config, "num_experts_per_tok", None)
    return 1 - reading / experts if experts and reading else 0.0


def _count(model: PreTrainedModel, part: str = "") -> int:
    """Number of parameters whose names hold ``part``."""
    return sum(parameter.numel() for name, parameter in model.named_parameters() if part in name)
