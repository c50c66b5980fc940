"""Pooled rows equal SAELens' own ``encode`` and a plain mean or maximum, for every architecture and normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.items.config import SAEConfig
from competency_gaps.reading.pooling import pool
from competency_gaps.sae.load import SparseAutoencoder, load_sae
from sae_helpers import INFERENCE, LATENTS, WIDTH, build, trained

CASES = [
    (architecture, norm, b_dec)
    for architecture in INFERENCE
    for norm in ("none", "layer_norm", "constant_norm_rescale")
    for b_dec in (True, False)
    if not (b_dec and "transcoder" in architecture)  # a transcoder's decoder bias has another place
]


def spans(seed: int = 0, lengths=(1, 2, 7, 40, 3)) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, WIDTH, generator=generator) * 2 + 0.5 for n in lengths]


def check(folder, chosen: list[torch.Tensor], **options) -> int:
    """Compare with SAELens on one token at a time; gives the number of active pairs."""
    from sae_lens import SAE

    plain, ours = SAE.load_from_disk(folder), load_sae(SAEConfig(folder=folder), "cpu")
    active = 0
    rows = {kind: pool(ours, chosen, kind, **options) for kind in ("mean", "max")}
    for index, span in enumerate(chosen):
        z = np.concatenate([plain.encode(span[t : t + 1]).detach().to_dense().numpy() for t in range(len(span))])
        assert (z >= 0).all()
        for kind, expected in (("mean", z.astype(np.float64).mean(axis=0)), ("max", z.max(axis=0))):
            row = rows[kind][index]
            dense = np.zeros(LATENTS)
            dense[row.concepts] = row.cas
            assert dense == pytest.approx(expected, abs=1e-5, rel=1e-5)
            assert row.concepts.tolist() == np.flatnonzero((z > 0).any(axis=0)).tolist()
            assert (row.cas > 0).all() and row.cas.dtype == np.float32
            top = z[:, row.concepts]
            assert top[row.peaks, np.arange(len(row.peaks))] == pytest.approx(top.max(axis=0), abs=1e-5)
        active += len(rows["max"][index].concepts)
    assert 0 < active < len(chosen) * LATENTS, "a test in which all or nothing is active proves little"
    return active


@pytest.mark.parametrize(("architecture", "norm", "b_dec"), CASES)
def test_equal_to_saelens(architecture, norm, b_dec, tmp_path):
    check(build(architecture, tmp_path, normalize_activations=norm, apply_b_dec_to_input=b_dec), spans())


@pytest.mark.parametrize("kind", ["batchtopk", "matryoshka"])
def test_equal_to_saelens_after_training(kind, tmp_path):
    folder = trained(kind, tmp_path)
    assert load_sae(SAEConfig(folder=folder), "cpu").identity["architecture"] == "jumprelu"
    check(folder, spans())


@pytest.mark.parametrize("chosen", [[], [0], [2, 3, 4], [0, 3, 4], [0, 1, 2, 3, 4]])
def test_only_chosen_tokens_are_encoded(chosen, tmp_path):
    sae = load_sae(SAEConfig(folder=build("standard", tmp_path)), "cpu")
    activations = torch.arange(7.0)[:, None].expand(7, WIDTH)
    assert sae.inputs(activations, np.isin(np.arange(5), chosen))[:, 0].tolist() == chosen


@pytest.mark.parametrize("tokens", [1, 3, 7, 8, 1000])
@pytest.mark.parametrize("architecture", ["standard", "topk"])
def test_chunks_change_nothing(architecture, tokens, tmp_path, monkeypatch):
    """Spans shorter and longer than a chunk, exact multiples of it, and many in one."""
    folder = build(architecture, tmp_path)
    largest: list[int] = []
    encode = SparseAutoencoder.encode
    monkeypatch.setattr(SparseAutoencoder, "encode", lambda self, x: largest.append(len(x)) or encode(self, x))
    check(folder, spans(lengths=(1, 2, 7, 40, 3, 16, 8, 1, 1)), chunk=tokens)
    assert max(largest) <= tokens


def test_the_first_of_equal_peaks(tmp_path):
    folder = build("standard", tmp_path)
    sae = load_sae(SAEConfig(folder=folder), "cpu")
    token = spans()[0]
    other = -10 * torch.sign(sae.sae.W_enc.sum(dim=1)).detach()[None]
    span = torch.cat([other, token, other, token, token])
    for tokens in (None, 2, 1):
        (row,) = pool(sae, [span], "mean", chunk=tokens)
        z = sae.encode(span).detach().numpy()
        # Equal rows of a product may differ in their last bit, by their place in the batch.
        strongest = [int(np.argmax(z[:, c] >= z[:, c].max() - 1e-5)) for c in row.concepts]
        peaks = row.peaks.tolist()
        assert 1 in strongest
        for concept, peak, first in zip(row.concepts, peaks, strongest, strict=True):
            assert peak == first or z[peak, concept] == pytest.approx(z[first, concept], abs=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("tokens", [None, 1])
def test_a_span_whose_latents_are_not_finite_has_no_row(tmp_path, monkeypatch, bad, tokens):
    sae = load_sae(SAEConfig(folder=build("standard", tmp_path)), "cpu")
    chosen, inner = spans(lengths=(2, 2, 3)), sae.sae.encode
    marked = chosen[1][1, 0].item()

    def encode(x):
        z = inner(x).clone()
        z[x[:, 0] == marked, 3] = bad
        return z

    monkeypatch.setattr(sae.sae, "encode", encode)
    for kind in ("mean", "max"):
        for keep in (False, True):
            rows = pool(sae, chosen, kind, chunk=tokens, keep_tokens=keep)
            assert [row is None for row in rows] == [False, True, False]
