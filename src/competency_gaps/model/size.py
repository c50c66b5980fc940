"""A model's configuration, and the precision in which this machine is fastest."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROUNDS = 40
"""Products that are measured in each precision."""
_GAIN = 1.2
"""Least speed of products in bfloat16 over float32 at which bfloat16 is chosen; other operations are slower in it."""


def text_config(model: PreTrainedModel) -> Any:
    """The configuration of the language part of a model."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def fast_bfloat16(device: str) -> bool:
    """Whether a model runs faster in bfloat16 than in float32 on a device.

    On a CPU it is measured, because processors differ: some multiply bfloat16 in tiles, several times faster than
    float32, others emulate it, fifty times slower.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and _gain() > _GAIN


@functools.cache
def _gain() -> float:
    """Speed of a matrix product of a language model's shape in bfloat16 over float32, by the fastest of several."""
    import torch

    kinds = (torch.float32, torch.bfloat16)
    factors = [[torch.ones(size, 1024, dtype=kind) for size in (128, 1024)] for kind in kinds]
    best = [float("inf")] * 2
    for number in range(_ROUNDS):
        for i, (a, b) in enumerate(factors):  # in turns, so that other load slows both
            begin = time.perf_counter()
            a @ b
            best[i] = min(best[i], time.perf_counter() - begin)
        if number > 2 and best[1] > 3 * best[0]:
            break  # emulated
    return best[0] / best[1]
