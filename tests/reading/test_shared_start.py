"""A start that prompts share is read once, and changes no activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.model import hooks
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.prefixes import shared_start
from core_helpers import KINDS, loaded

START = np.arange(3, 43, dtype=np.int32)
RESTS = [np.arange(50, 71, dtype=np.int32), np.asarray([90], np.int32), np.arange(61, 75, dtype=np.int32)]
SEQUENCES = [np.concatenate([START, rest]) for rest in RESTS]


NAMES = (
    "0.hook_resid_pre",
    "0.hook_resid_post",
    "2.hook_resid_pre",
    "2.hook_resid_post",
    "2.hook_mlp_out",
    "2.attn.hook_z",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_start_activations_are_those_of_the_whole(kind, name, model_folder):
    lm = loaded(model_folder(kind))
    if kind == "gemma2":  # its cache is no plain list of keys and values
        assert not shared_start(lm, SEQUENCES)
        return
    assert shared_start(lm, SEQUENCES) == len(START)
    hook = resolve_hook(lm.model, f"blocks.{name}")
    start = hooks.cache_start(lm, hook, START)
    for _ in range(2):  # the start stays as it was
        after = hooks.read_after(lm, hook, start, SEQUENCES)
        for ids, row in zip(SEQUENCES, after, strict=True):
            alone = hooks.read_hook(lm, hook, [ids])[0]
            torch.testing.assert_close(row[: len(ids)], alone, atol=2e-5, rtol=1e-4)
