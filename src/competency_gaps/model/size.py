"""Size of a model in parameters and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from competency_gaps.model.batches import CACHED, WRITTEN_AT_ONCE
from competency_gaps.model.load import text_config
from competency_gaps.model.speed import free_memory
from competency_gaps.text import size

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIBRARIES = 600_000_000
"""Memory of Python, torch and transformers in bytes (measured on Linux)."""
_CACHES = 2
"""Number of caches in memory at the same time: of a batch of prompts, and of the options after them."""


def number_size(dtype: str) -> int:
    """Bytes of a number, by torch's name of its data type."""
    import torch

    return int(torch.empty(0, dtype=getattr(torch, dtype)).element_size())


def weights_size(model: PreTrainedModel, dtype: str) -> int:
    """Bytes of a model's weights."""
    return number_size(dtype) * _count(model)


def batch_size(model: PreTrainedModel, dtype: str, batch_tokens: int) -> int:
    """Most bytes that a batch needs in addition to the weights: activations, logits, keys and values."""
    config = text_config(model)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = _CACHES * CACHED * 2 * int(config.num_hidden_layers) * int(heads) * int(width)
    computed = batch_tokens * (12 * int(config.hidden_size) + int(config.vocab_size))
    return number_size(dtype) * (computed + max(batch_tokens, WRITTEN_AT_ONCE) * kept)


def memory_line(model: PreTrainedModel, dtype: str, device: str, device_map: Any = None) -> str:
    """A line on a model's size and the free memory, before its weights are read.

    For models that are spread over devices or quantised, only the number of parameters.
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
    """Number of parameters that multiply each token, and number of those in the output head.

    Experts of a mixture count by the share that reads a token.
    """
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    head = embedding.numel() if output is None else output.weight.numel()
    tied = output is None or output.weight is embedding or bool(getattr(model.config, "tie_word_embeddings", False))
    idle = round(_idle_share(text_config(model)) * _count(model, ".experts."))
    return _count(model) - embedding.numel() - (0 if tied else head) - idle, head


def _idle_share(config: Any) -> float:
    """Share of a mixture's experts that do not read a given token; 0 for other models."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    experts = next((n for n in (getattr(config, name, None) for name in names) if n), None)
    reading = getattr(config, "num_experts_per_tok", None)
    return 1 - reading / experts if experts and reading else 0.0


def _count(model: PreTrainedModel, part: str = "") -> int:
    """Number of parameters whose names hold ``part``."""
    return sum(parameter.numel() for name, parameter in model.named_parameters() if part in name)
