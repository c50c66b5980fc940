"""Activations of single tokens equal SAELens' own ``encode``, token by token, and point at the right text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import competency_gaps
from competency_gaps.items.config import SAEConfig
from competency_gaps.reading.pooling import TokenRow, pool, token_row
from competency_gaps.reading.rows import token_tensors
from competency_gaps.sae.load import load_sae
from core_helpers import loaded, shard_bytes, tokens_of_range
from sae_helpers import INFERENCE, LATENTS, WIDTH, build

KEPT = ("act_ptr", "act_counts", "act_tokens", "act_values")


def dense(concepts: np.ndarray, kept: TokenRow, tokens: int) -> np.ndarray:
    """Latents of every token, by a loop over what was kept."""
    z, at = np.zeros((tokens, LATENTS)), 0
    for concept, count in zip(concepts, kept.counts, strict=True):
        for _ in range(count):
            assert z[kept.tokens[at], concept] == 0, "no pair twice"
            z[kept.tokens[at], concept] = kept.values[at]
            at += 1
    assert at == len(kept.values) and (kept.values > 0).all()
    return z


@pytest.mark.parametrize("chunk", [1, 3, 8, 1000])
@pytest.mark.parametrize("architecture", list(INFERENCE))
def test_equal_to_saelens_token_by_token(architecture, chunk, tmp_path):
    """Spans shorter and longer than a chunk, and many in one; rows are the same as without."""
    from sae_lens import SAE

    # A transcoder's decoder bias has another place.
    folder = build(architecture, tmp_path, apply_b_dec_to_input="transcoder" not in architecture)
    plain, ours = SAE.load_from_disk(folder), load_sae(SAEConfig(folder=folder), "cpu")
    generator = torch.Generator().manual_seed(0)
    spans = [torch.randn(n, WIDTH, generator=generator) * 2 + 0.5 for n in (1, 2, 7, 40, 3, 16)]
    for kind in ("mean", "max"):
        without = pool(ours, spans, kind, chunk=chunk)
        kept = pool(ours, spans, kind, keep_tokens=True, chunk=chunk)
        for span, row, other in zip(spans, kept, without, strict=True):
            z = np.concatenate([plain.encode(span[t : t + 1]).detach().to_dense().numpy() for t in range(len(span))])
            assert dense(row.concepts, row.tokens, len(span)) == pytest.approx(z, abs=1e-5)
            ends = np.cumsum(row.tokens.counts)
            assert all((np.diff(part) > 0).all() for part in np.split(row.tokens.tokens, ends)), "in reading order"
            assert other.tokens is None
            assert all(np.array_equal(a, b) for a, b in zip(row[:3], other[:3], strict=True))


def test_text_of_every_token(tiny_run, model_folder, sae_folder):
    """Which tokens, where they stand in the text and how strongly, from the text alone."""
    from sae_lens import SAE

    lm, sae = loaded(model_folder("llama")), SAE.load_from_disk(sae_folder)
    assert tiny_run.has_token_activations
    several = 0
    for row in range(0, tiny_run.items.height, 9):
        item = tiny_run.items.row(row, named=True)
        ids = lm.tokenizer(item["text"], add_special_tokens=False)["input_ids"]
        own = tokens_of_range(lm.tokenizer, ids, item["text"], item["body_start"], item["body_end"])
        with torch.inference_mode():
            hidden = lm.model(input_ids=torch.tensor([[0, *ids]]), output_hidden_states=True).hidden_states[3][0]
            z = sae.encode(hidden)[1:].numpy() * own[:, None]
        for concept in range(LATENTS):
            (found,) = tiny_run.token_activations(concept, [row])
            expected = np.flatnonzero(z[:, concept] > 0)
            assert found.activation.dtype == np.float32
            assert found.activation == pytest.approx(z[expected, concept], rel=2**-10, abs=1e-4)
            for token, start, end in zip(expected, found.start, found.end, strict=True):
                marked = tokens_of_range(lm.tokenizer, ids, item["text"], start, end)
                assert np.flatnonzero(marked).tolist() == [token]
            several += len(expected) > 1
    assert several > 20


def test_off(tiny_config, tiny_run, run, tmp_path):
    """Without them the same rows; a folder keeps what it has, whichever way the setting is changed."""
    config = {**tiny_config, "keep_token_activations": False}
    off = competency_gaps.run(config, tmp_path / "off")
    assert not off.has_token_activations and off.token_activations(3, [0]) == [None]
    for name in ("quiz", "sums"):
        assert np.array_equal(off.cas(name).toarray(), tiny_run.cas(name).toarray())
    for file in sorted((tmp_path / "off" / "activations").glob("*.safetensors")):
        ours, theirs = load_file(file), load_file(tiny_run.path / "activations" / file.name)
        assert set(theirs) - set(ours) == set(KEPT)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    before = shard_bytes(tmp_path / "off")
    competency_gaps.run(tiny_config, tmp_path / "off")
    assert shard_bytes(tmp_path / "off") == before
    competency_gaps.run(config, run.path)
    assert shard_bytes(run.path) == shard_bytes(tiny_run.path)


def written(values: list[float], longest: int = 10) -> dict[str, np.ndarray]:
    """Tensors of one item on whose last tokens concept 1 is active, so strongly."""
    count = len(values)
    row = token_row(np.arange(count), np.ones(count, np.int64), np.asarray(values, np.float32))
    return token_tensors([row], [np.arange(longest)[longest - count :]])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0.5, 65504.0], np.float16),
        ([0.5, 65600.0], np.float32),
        ([1e-3, 3e-9], np.float16),
        ([9e-4, 1e-5], np.float32),
        ([1e38, 1e-30], np.float32),
    ],
)
def test_values_are_never_infinite_or_zero(values, dtype):
    kept = written(values)["act_values"]
    assert kept.dtype == dtype and np.isfinite(kept).all() and (kept > 0).all()
    assert kept.astype(np.float64) == pytest.approx(values, rel=2**-11, abs=6e-8)
