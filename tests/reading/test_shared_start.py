"""A start that prompts share is read once, and changes no activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.items.config import SAEConfig
from competency_gaps.model import hooks
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.prefixes import shared_start
from competency_gaps.reading import extract
from competency_gaps.reading.extract import Extractor, ItemTokens
from competency_gaps.sae.load import load_sae
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


@pytest.mark.parametrize("budget", [48, None])
def test_rows_of_items_with_a_shared_header(budget, model_folder, sae_folder, monkeypatch):
    lm = loaded(model_folder("llama"))
    sae = load_sae(SAEConfig(folder=sae_folder), "cpu")
    extractor = Extractor(lm, resolve_hook(lm.model, "blocks.2.hook_resid_post"), sae, "mean", budget)
    items = [item(i, ids, first) for i, (ids, first) in enumerate(zip(SEQUENCES, (40, 38, 0), strict=True))]
    tokens: list[int] = []
    monkeypatch.setattr(
        hooks, "pad", lambda own, fill, pad=hooks.pad: tokens.append(sum(map(len, own))) or pad(own, fill)
    )
    shared = extractor.rows(items, lambda _: None)
    assert sum(tokens) == len(START) + sum(map(len, RESTS))
    monkeypatch.setattr(extract, "shared_start", lambda *_: 0)
    whole = extractor.rows(items, lambda _: None)
    assert sum(tokens) == len(START) + sum(map(len, RESTS)) + sum(map(len, SEQUENCES))
    for a, b in zip(shared, whole, strict=True):
        assert a.concepts.tolist() == b.concepts.tolist() and len(a.concepts)
        np.testing.assert_allclose(a.cas, b.cas, atol=1e-4)
        assert a.peaks.tolist() == b.peaks.tolist()


def item(index: int, ids: np.ndarray, first: int) -> ItemTokens:
    span = np.zeros(len(ids), bool)
    span[first:] = True
    return ItemTokens(index, ids, np.zeros((len(ids), 2), np.int32), span)
