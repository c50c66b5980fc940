"""SAEs of averages: the average itself against a plain loop, and every place that encodes against encoding by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from competency_gaps.activations.extract import Extractor, ItemTokens
from competency_gaps.config import ModelConfig, SAEConfig, TrainingConfig
from competency_gaps.errors import UserError
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.progress import Progress
from competency_gaps.sae import load_sae
from competency_gaps.sae.load import full_stretches, local_mean
from competency_gaps.sae.measure import evaluate_sae
from competency_gaps.sae.texts import cut_pieces, read_documents
from competency_gaps.sae.train import train_sae
from core_helpers import TEXT
from sae_helpers import build

HOOK = "blocks.2.hook_resid_post"
OVER = 4


def by_hand(x: np.ndarray, over: int) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    starts = [max(0, min(t - over // 2, len(x) - over)) for t in range(len(x))]
    return np.stack([unit[start : start + over].mean(axis=0) for start in starts])


def whole(x: np.ndarray, over: int) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    means = [unit[start : start + over].mean(axis=0) for start in range(len(x) - over + 1)]
    return np.stack(means) if means else np.zeros((0, x.shape[1]))


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 40])
@pytest.mark.parametrize("over", [2, 4, 16])
def test_local_mean_equals_a_plain_loop(tokens, over):
    x = torch.randn(tokens, 8, generator=torch.Generator().manual_seed(tokens)) + 1
    x[tokens // 2] *= 1000  # a token on which a model parks attention
    assert local_mean(x, over).numpy() == pytest.approx(by_hand(x.numpy(), over), abs=1e-6)
    assert full_stretches(x, over).numpy() == pytest.approx(whole(x.numpy(), over), abs=1e-6)


def test_every_token_counts_about_equally():
    """Of a one-hot text the mean of the averages gives each token's weight."""
    weight = local_mean(torch.eye(60), 16).mean(dim=0) * 60
    assert weight.sum() == pytest.approx(60) and weight.min() > 0.49 and weight.max() < 1.51


def test_one_token_is_left_as_it_is():
    x = torch.randn(5, 8) * 3
    assert local_mean(x, 1) is x and full_stretches(x, 1) is x
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


@pytest.mark.parametrize("value", [0, -1, 2.5, "16", True])
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
    from competency_gaps.stages.gate import _measure

    lm = load_model(ModelConfig(name=str(model_folder("llama")), dtype="float32"))
    hook, sae = resolve_hook(lm.model, HOOK), load_sae(SAEConfig(folder=averaging), "cpu")
    rng = np.random.default_rng(1)
    prepared, means = [], []
    for own_tokens in (20, 3, 35):
        ids = rng.integers(5, 60, own_tokens + 8).astype(np.int32)
        own, bos = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
        own[5:-3], bos[0] = True, True
        prepared.append(SimpleNamespace(excluded=None, tokens=SimpleNamespace(ids=ids, own=own, bos=bos)))
        means.append(by_hand(read_hook(lm, hook, [ids])[0].numpy()[own], OVER))
    judged, _ = _measure(Extractor(lm, hook, sae, "mean", 64), prepared, "question", 10**6, Progress(quiet=True))
    x = torch.from_numpy(np.concatenate(means)).float()
    with torch.inference_mode():
        z = sae.sae.encode(x)
        left = (x - sae.sae.decode(z)).square().sum() / (x - x.mean(dim=0)).square().sum()
    assert judged.tokens == len(x) == 58
    assert judged.l0 == pytest.approx(float((z > 0).sum(1).float().mean()), rel=1e-4)
    assert judged.explained_variance == pytest.approx(1 - float(left), abs=1e-3)


@pytest.fixture(scope="module")
def training(tmp_path_factory, model_folder):
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(TEXT.split(), 60)) for _ in range(120)]
    chats = [json.dumps([{"role": "user", "content": text}]) if i % 3 == 0 else None for i, text in enumerate(texts)]
    table = pl.DataFrame({"text": [None if c else t for c, t in zip(chats, texts, strict=True)], "messages": chats})
    table[:100].write_parquet(folder / "train.parquet")
    table[100:].write_parquet(folder / "heldout.parquet")
    return TrainingConfig(
        model=ModelConfig(name=str(model_folder("llama")), dtype="float32"),
        texts=[folder / "train.parquet"],
        heldout=[folder / "heldout.parquet"],
        heldout_tokens=1500,
        hook_name=HOOK,
        d_sae=64,
        k=8,
        tokens=6000,
        average_over=OVER,
        stride=2,
        epochs=6,
        context=64,
        batch=128,
        lr=3e-3,
        dead_after=2000,
        autocast=False,
    )


@pytest.fixture(scope="module")
def pack(training, tmp_path_factory):
    return train_sae(training, tmp_path_factory.mktemp("pack"), Progress(quiet=True))


def test_trained_on_whole_stretches_of_every_text(training, pack):
    """The activations on disk are those averages, in another order."""
    from safetensors.torch import load_file

    lm = load_model(training.model)
    hook = resolve_hook(lm.model, HOOK)
    wanted, tokens = [], 0
    for piece in cut_pieces(read_documents(training.texts), lm.tokenizer, context=64, bos_id=0):
        if tokens >= training.tokens:
            break
        x = read_hook(lm, hook, [piece.ids])[0].numpy()[piece.content & ~piece.bos]
        tokens += len(x)
        wanted.append(whole(x, OVER)[::2])
    figures = json.loads((pack / "card.json").read_text())["figures"]
    shards = sorted((pack / "activations").glob("shard-*"))
    kept = np.concatenate([load_file(shard)["activations"].float().numpy() for shard in shards])
    expected = np.concatenate(wanted)
    assert figures["trained_tokens"] == tokens and figures["trained_activations"] == len(expected) == len(kept)
    assert np.sort(kept[:, 0]) == pytest.approx(np.sort(expected[:, 0]), abs=2e-3)


def test_the_card_measures_averages(training, pack):
    lm = load_model(training.model)
    sae = load_sae(SAEConfig(folder=pack), "cpu")
    assert sae.average_over == OVER
    pieces = list(cut_pieces(read_documents(training.heldout), lm.tokenizer, context=64, bos_id=0))
    hook = resolve_hook(lm.model, HOOK)
    figures, _ = evaluate_sae(lm, hook, sae, pieces, tokens=10**6, loss_tokens=10**6, progress=Progress(quiet=True))
    assert any((p.content != ~p.bos).any() for p in pieces), "some tokens are of the chat template"
    means = [by_hand(read_hook(lm, hook, [p.ids])[0].numpy()[p.content & ~p.bos], OVER) for p in pieces]
    x = torch.from_numpy(np.concatenate(means)).float()
    with torch.inference_mode():
        z = sae.sae.encode(x)
        left = (x - sae.sae.decode(z)).square().sum() / (x - x.mean(dim=0)).square().sum()
    assert figures.explained_variance == pytest.approx(1 - float(left), abs=1e-4)
    assert figures.explained_variance > 0.3
    assert figures.l0 == pytest.approx(float((z > 0).sum(1).float().mean()), rel=1e-3)
    losses = by_hand_losses(lm, hook, sae, pieces)
    assert (figures.loss, figures.loss_reconstructed, figures.loss_ablated) == pytest.approx(losses, abs=1e-4)


def by_hand_losses(lm, hook, sae, pieces) -> list[float]:
    """Text by text: the rest of the model is run on the changed activations."""
    totals, count = np.zeros(3), 0
    module = hook.module(lm.model)
    for piece in pieces:
        ids = torch.from_numpy(piece.ids.astype(np.int64))[None]
        own = torch.from_numpy(piece.content & ~piece.bos)
        x = read_hook(lm, hook, [piece.ids])[0][own]
        mean = torch.from_numpy(by_hand(x.numpy(), OVER)).float()
        norm = x.norm(dim=1, keepdim=True)
        with torch.inference_mode():
            rebuilt = sae.sae.decode(sae.sae.encode(mean))
            changed = (None, (x / norm - mean + rebuilt) * norm, (x / norm - mean) * norm)
            for i, new in enumerate(changed):
                totals[i] += _loss(lm, module, ids, own, new)
        count += ids.shape[1] - 1
    return (totals / count).tolist()


def _loss(lm, module, ids, own, new) -> float:
    def put(_module, _args, output):
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        if new is not None:
            hidden[0, own] = new
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = module.register_forward_hook(put)
    try:
        logits = lm.model(input_ids=ids).logits[0, :-1]
    finally:
        handle.remove()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_training_goes_on_and_ends_in_the_same_sae(training, pack, tmp_path, monkeypatch):
    from competency_gaps.sae.training import train

    monkeypatch.setattr(train, "SAVE_SECONDS", 0.0)
    states = []

    def save_then_die(trainer, configuration, folder):
        states.append(trainer.n_training_steps)
        save_checkpoint(trainer, configuration, folder)
        if trainer.n_training_steps == 50:
            raise Killed

    save_checkpoint = train.save_checkpoint
    monkeypatch.setattr(train, "save_checkpoint", save_then_die)
    with pytest.raises(Killed):
        train_sae(training, tmp_path, Progress(quiet=True))
    assert (tmp_path / train.CHECKPOINT_FILE).is_file()
    monkeypatch.setattr(train, "save_checkpoint", lambda *a: states.append(a[0].n_training_steps))
    train_sae(training, tmp_path, Progress(quiet=True))
    assert states[51] == 50, "it went on where it was"
    assert not (tmp_path / train.CHECKPOINT_FILE).exists()
    weights = "sae_weights.safetensors"
    assert (tmp_path / weights).read_bytes() == (pack / weights).read_bytes()
