"""The gate's figures equal one computation on one big matrix, and it refuses what does not fit."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import competency_gaps
from competency_gaps.items.config import SAEConfig
from competency_gaps.sae.gate import LatentStatistics, judge
from competency_gaps.sae.load import load_sae
from competency_gaps.util.errors import UserError

WIDTH, LATENTS = 6, 10


def tokens(seed: int, count: int = 40, shift: float = 0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, WIDTH)) * 3 + shift
    latents = rng.gamma(1.0, 1.0, (count, LATENTS)) * (rng.random((count, LATENTS)) < 0.2)
    latents[:, 3] = 0
    decoded = x + rng.normal(size=x.shape) * 0.5
    return x, latents, decoded, rng.random(count) < 0.7


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 39), max_size=5), st.sampled_from([0.0, 1e4]))
def test_merged_batches_equal_one_matrix(seed, cuts, shift):
    x, latents, decoded, own = tokens(seed, shift=shift)
    statistics = LatentStatistics(LATENTS, WIDTH)
    edges = [0, *sorted(set(cuts)), 40]
    for a, b in itertools.pairwise(edges):
        part = [torch.from_numpy(v[a:b]) for v in (x, latents, decoded)]
        statistics.add(*part, own[a:b])
    variance = 1 - ((x - decoded) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum()
    assert statistics.tokens == 40 and statistics.template_tokens == (~own).sum()
    assert statistics.explained_variance == pytest.approx(variance, abs=1e-9)
    assert statistics.l0 == pytest.approx((latents > 0).sum() / 40)
    assert statistics.density == pytest.approx((latents > 0).mean(axis=0))
    assert statistics.mass == pytest.approx(latents[own].sum(axis=0))
    total = latents.sum(axis=0)
    share = np.where(total > 0, latents[~own].sum(axis=0) / np.where(total > 0, total, 1), np.nan)
    assert statistics.template_share == pytest.approx(share, nan_ok=True)
    assert not statistics.signed


@pytest.fixture
def sae(sae_folder):
    return load_sae(SAEConfig(folder=sae_folder), "cpu")


def measured(latents: np.ndarray, x: np.ndarray, decoded: np.ndarray, width: int) -> LatentStatistics:
    statistics = LatentStatistics(width, x.shape[1])
    statistics.add(*(torch.from_numpy(v) for v in (x, latents, decoded)), np.ones(len(x), bool))
    return statistics


def test_verdicts(sae):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 32))
    sparse = np.zeros((300, 64))
    sparse[:, :5] = 1.0
    dense = np.zeros((300, 64))
    dense[:, :7] = 1.0  # a tenth of 64 is 6.4
    good = judge(measured(sparse, x, x * 0.9, 64), sae, force=False)
    assert good.passed and not good.forced and good.l0 == 5 and good.dead_share == pytest.approx(59 / 64)
    assert good.explained_variance == pytest.approx(0.99, abs=0.01) and "L0 5.0 of 64" in good.sentence()
    for latents, decoded, says in (
        (sparse, -x, "explained variance -"),
        (sparse, np.full_like(x, np.nan), "explained variance nan"),
        (dense, x, "L0 7"),
    ):
        with pytest.raises(UserError, match=says) as error:
            judge(measured(latents, x, decoded, 64), sae, force=False)
        assert "sae.force=true" in str(error.value) and "blocks.2.hook_resid_post" in str(error.value)
        forced = judge(measured(latents, x, decoded, 64), sae, force=True)
        assert forced.forced and not forced.passed
    assert not judge(measured(sparse, x, x, 64), sae, force=True).forced, "nothing to force"
    alike = 5 + x / 100  # rebuilt up to a constant: all that they have in common, and nothing of how they differ
    near = judge(measured(sparse, alike, np.full_like(x, 4.9), 64), sae, force=False)
    assert near.passed and near.explained_variance < 0 and "similar" in near.sentence()
    assert not judge(measured(sparse, alike, np.full_like(x, 1.0), 64), sae, force=True).passed
    single = judge(measured(sparse[:1], x[:1], x[:1], 64), sae, force=False)
    assert single.passed and json.dumps(vars(single), allow_nan=False) and "not known" in single.sentence()
    # The mean is the border: no better than it is refused.
    with pytest.raises(UserError, match="explained variance"):
        judge(measured(sparse, x, np.broadcast_to(x.mean(axis=0), x.shape).copy(), 64), sae, force=False)


def test_a_few_huge_tokens_do_not_pass_for_variance(sae):
    """One token in twenty is 500 times as large and rebuilt; all others are not."""
    x = np.random.default_rng(0).normal(size=(300, 32))
    x[::20, 0] *= 500
    rebuilt = np.where(np.arange(300)[:, None] % 20 == 0, x, -x)
    latents = np.eye(300, 64)
    assert 1 - ((x - rebuilt) ** 2).sum() / ((x - x.mean(axis=0)) ** 2).sum() > 0.9
    assert not judge(measured(latents, x, rebuilt, 64), sae, force=True).passed


def test_what_the_authors_state_is_compared(sae):
    """A wrong normalisation, or a TopK SAE as plain ReLU, may leave a tenth of the latents and some variance."""
    x = np.random.default_rng(0).normal(size=(300, 32))
    latents = np.zeros((300, 64))
    latents[:, :5] = 1.0
    for stated, fits in ((None, True), (1.5, True), (19.0, True), (1.2, False), (21.0, False)):
        sae.identity["stated_l0"] = stated
        assert judge(measured(latents, x, x * 0.4, 64), sae, force=True).passed == fits
    with pytest.raises(UserError, match=r"L0 5.0 .its authors state 21."):
        judge(measured(latents, x, x * 0.4, 64), sae, force=False)
    sae.identity["stated_l0"] = 5.0
    assert "(stated: 5)" in judge(measured(latents, x, x * 0.4, 64), sae, force=False).sentence()
    assert "low" in judge(measured(latents, x, x * 0.1, 64), sae, force=False).sentence()


def test_signed_latents_are_refused_even_if_forced(sae):
    x = np.random.default_rng(0).normal(size=(9, 32))
    latents = np.zeros((9, 64))
    latents[4, 2] = -0.1
    with pytest.raises(UserError, match="below zero"):
        judge(measured(latents, x, x, 64), sae, force=True)


def test_an_sae_that_does_not_fit_stops_the_run(tiny_config, sae_folder, tmp_path):
    from sae_helpers import random_sae

    config = {**tiny_config, "benchmarks": [{**tiny_config["benchmarks"][0], "sample": 24}]}
    unfit = {"folder": str(random_sae(tmp_path / "random", "blocks.2.hook_resid_post")), "gate_tokens": 512}
    layer = {"folder": str(sae_folder), "hook_name": "blocks.2.hook_mlp_out", "gate_tokens": 512}
    for sae in (layer, unfit):
        with pytest.raises(UserError, match="does not fit the activations"):
            competency_gaps.run({**config, "sae": sae}, tmp_path / "run")
        assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["plan.json"]
        (tmp_path / "run" / "plan.json").unlink()
    gate = competency_gaps.run({**config, "sae": {**unfit, "force": True}}, tmp_path / "run").manifest["gate"]
    assert gate["forced"] and not gate["passed"] and gate["explained_variance"] <= 0


def test_gate_of_a_run_equals_plain_transformers(tiny_config, model_folder, sae_folder, tmp_path):
    """The sample is larger than the run, so the figures are those of every token but the first of each prompt."""
    from sae_lens import SAE

    from core_helpers import loaded

    config = {**tiny_config, "sae": {"folder": str(sae_folder), "gate_tokens": 100_000, "force": True}}
    run = competency_gaps.run(config, tmp_path / "run")
    lm, sae = loaded(model_folder("llama")), SAE.load_from_disk(sae_folder)
    rows = []
    with torch.inference_mode():
        for text in run.items["text"]:
            ids = torch.tensor([[0, *lm.tokenizer(text)["input_ids"]]])
            rows.append(lm.model(input_ids=ids, output_hidden_states=True).hidden_states[3][0, 1:].double())
        x = torch.cat(rows)
        latents = sae.encode(x.float())
        error = (x - sae.decode(latents).double()).square().sum()
        variance = float(1 - error / (x - x.mean(dim=0)).square().sum())
    gate = run.manifest["gate"]
    assert gate["tokens"] == len(x) and gate["d_sae"] == 64
    assert gate["explained_variance"] == pytest.approx(variance, abs=1e-4) and 0 < variance < 1
    assert gate["l0"] == pytest.approx(float((latents > 0).sum() / len(x)), abs=1e-2)
    assert gate["dead_share"] == pytest.approx(float((latents > 0).any(dim=0).logical_not().float().mean()), abs=1e-6)
