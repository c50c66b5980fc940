"""This machine's speed of matrix products."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


_ROUNDS, _SLOT = 8, 0.02
"""Rounds of a measurement, and seconds per data type in a round (at least one product)."""
_GAIN = 1.2
"""Least speed of products in bfloat16 over float32 at which bfloat16 is chosen; other operations are slower in it."""


def text_config(model: PreTrainedModel) -> Any:
    """The configuration of the language part of a model."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def matmul_speed(device: str, dtype: str) -> float:
    """Speed of a matrix product of a language model's shape.

    Parameters
    ----------
    dtype
        Name of torch's data type, e.g. ``float32``.

    Returns
    -------
    float
        Floating-point operations per second of the fastest of several products; other load on the machine lowers it.
    """
    compared = ("float32", "bfloat16")
    return _speeds(device, compared if dtype in compared and device == "cpu" else (dtype,))[dtype]


@functools.cache
def _speeds(device: str, dtypes: tuple[str, ...]) -> dict[str, float]:
    """Speeds of several data types, measured in turns, so that other load slows all of them."""
    import torch

    rows, width = (128, 1024) if torch.device(device).type == "cpu" else (4096, 4096)
    factors = {}
    for name in dtypes:
        kind = getattr(torch, name)
        a, b = (torch.ones(size, width, dtype=kind, device=device) for size in (rows, width))
        _seconds_of(a[:32], b, device)  # loads kernels
        factors[name] = (a, b)
    best = dict.fromkeys(dtypes, float("inf"))
    for _ in range(_ROUNDS):
        for name, (a, b) in factors.items():
            spent = 0.0
            while spent < _SLOT:
                seconds = _seconds_of(a, b, device)
                spent, best[name] = spent + seconds, min(best[name], seconds)
            if spent > _SLOT * _ROUNDS:  # so slow that one product suffices
                factors = {other: pair for other, pair in factors.items() if other != name}
    return {name: 2 * rows * width * width / seconds for name, seconds in best.items()}


def _seconds_of(a: torch.Tensor, b: torch.Tensor, device: str) -> float:
    import torch

    accelerator = {"cuda": torch.cuda, "mps": torch.mps}.get(torch.device(device).type)
    begin = time.perf_counter()
    a @ b
    if accelerator is not None:
        accelerator.synchronize()
    return time.perf_counter() - begin


def fast_bfloat16(device: str) -> bool:
    """Whether a model runs faster in bfloat16 than in float32 on a device.

    On a CPU it is measured, because processors differ: some multiply bfloat16 in tiles, several times faster than
    float32, others emulate it, fifty times slower.
    """
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and matmul_speed("cpu", "bfloat16") > _GAIN * matmul_speed("cpu", "float32")
