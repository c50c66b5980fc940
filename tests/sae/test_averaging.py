"""SAEs of averages: the average itself against a plain loop, and every place that encodes against encoding by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.reading.extract import Extractor, ItemTokens
from competency_gaps.sae.load import load_sae, local_mean
from competency_gaps.util.errors import UserError
from sae_helpers import build

HOOK = "blocks.2.hook_resid_post"
OVER = 4


def by_hand(x: np.ndarray, over: int) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    starts = [max(0, min(t - over // 2, len(x) - over)) for t in range(len(x))]
    return np.stack([unit[start : start + over].mean(axis=0) for start in starts])


@pytest.mark.parametrize(("tokens", "over"), [(1, 4), (3, 4), (5, 4), (40, 16)])
def test_local_mean_equals_a_plain_loop(tokens, over):
    x = torch.randn(tokens, 8, generator=torch.Generator().manual_seed(tokens)) + 1
    x[tokens // 2] *= 1000  # a token on which a model parks attention
    assert local_mean(x, over).numpy() == pytest.approx(by_hand(x.numpy(), over), abs=1e-6)


def test_every_token_counts_about_equally():
    """Of a one-hot text the mean of the averages gives each token's weight."""
    weight = local_mean(torch.eye(60), 16).mean(dim=0) * 60
    assert weight.sum() == pytest.approx(60) and weight.min() > 0.49 and weight.max() < 1.51


def test_one_token_is_left_as_it_is():
    x = torch.randn(5, 8) * 3
    assert local_mean(x, 1) is x
    assert local_mean(x[:0], 4).shape == (0, 8)


@pytest.fixture(scope="module")
def averaging(tmp_path_factory):
    """An SAE of averages over ``OVER`` tokens."""
    return build("standard", tmp_path_factory.mktemp("sae"), metadata={"average_over": OVER})


def test_it_is_read_from_the_metadata_and_changes_the_identity(averaging, tmp_path):
    ours = load_sae(SAEConfig(folder=averaging), "cpu")
    plain = load_sae(SAEConfig(folder=build("standard", tmp_path)), "cpu")
    assert (ours.average_over, plain.average_over) == (OVER, 1)
    assert ours.identity["weights_sha256"] == plain.identity["weights_sha256"]
    assert ours.identity["settings_sha256"] != plain.identity["settings_sha256"]


@pytest.mark.parametrize("value", [0, 2.5, True])
def test_a_bad_number_is_refused(value, tmp_path):
    folder = build("standard", tmp_path, metadata={"average_over": value})
    with pytest.raises(UserError, match=r"average_over = .*a whole number from 1"):
        load_sae(SAEConfig(folder=folder), "cpu")


def test_items_are_averaged_within_their_span(averaging, model_folder):
    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    hook, sae = resolve_hook(lm.model, HOOK), load_sae(SAEConfig(folder=averaging), "cpu")
    rng = np.random.default_rng(0)
    sequences = []
    for i, (before, own) in enumerate([(3, 9), (5, 2), (0, 30)]):
        span = np.r_[np.zeros(before, bool), np.ones(own, bool)]
        sequences.append(
            ItemTokens(i, rng.integers(5, 60, len(span)).astype(np.int32), np.zeros((len(span), 2), np.int32), span)
        )
    rows = Extractor(lm, hook, sae, "mean", 64).rows(sequences, lambda _: None)
    for sequence, row in zip(sequences, rows, strict=True):
        x = read_hook(lm, hook, [sequence.ids])[0].numpy()[sequence.span]
        z = sae.sae.encode(torch.from_numpy(by_hand(x, OVER)).float()).detach().numpy()
        assert row.concepts.tolist() == np.flatnonzero((z > 0).any(axis=0)).tolist()
        assert row.cas == pytest.approx(z.mean(axis=0)[row.concepts], abs=1e-5)


def test_the_gate_measures_the_items_own_text(averaging, model_folder):
    """Tokens of a template, before and after the item's own, are in no average."""
    from competency_gaps.pipeline.gate import LatentStatistics, _measure, judge

    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    hook, sae = resolve_hook(lm.model, HOOK), load_sae(SAEConfig(folder=averaging), "cpu")
    rng = np.random.default_rng(1)
    prepared, means = [], []
    for own_tokens in (20, 3, 35):
        ids = rng.integers(5, 60, own_tokens + 8).astype(np.int32)
        own, bos = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
        own[5:-3], bos[0] = True, True
        prepared.append(SimpleNamespace(excluded=None, tokens=SimpleNamespace(ids=ids, in_body=own, bos=bos)))
        means.append(by_hand(read_hook(lm, hook, [ids])[0].numpy()[own], OVER))
    statistics = LatentStatistics(sae.d_sae, sae.d_in)
    for item in prepared:
        given = torch.from_numpy(np.asarray(read_hook(lm, hook, [item.tokens.ids])[0])).float()
        assert _measure(sae, statistics, statistics, item.tokens, given, given)
    judged = judge(statistics, sae, force=True)
    x = torch.from_numpy(np.concatenate(means)).float()
    with torch.inference_mode():
        z = sae.sae.encode(x)
        left = (x - sae.sae.decode(z)).square().sum() / (x - x.mean(dim=0)).square().sum()
    assert judged.tokens == len(x) == 58
    assert judged.l0 == pytest.approx(float((z > 0).sum(1).float().mean()), rel=1e-4)
    assert judged.explained_variance == pytest.approx(1 - float(left), abs=1e-3)
