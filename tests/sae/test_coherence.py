"""Coherence: by brute force, in any groups of texts; planted topics told from latents that fire at random."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from competency_gaps.items.config import MetricsConfig, ModelConfig, SAEConfig
from competency_gaps.sae import measure
from competency_gaps.sae.load import load_pair
from competency_gaps.sae.reference import WINDOW
from competency_gaps.sae.surface import POSITIONS_PER_PIECE, Active, KeptPeaks, TextTokens
from competency_gaps.sae.texts import TokenPiece, cut_pieces
from competency_gaps.util.progress import Progress
from core_helpers import TEXT
from sae_helpers import build

QUIET = Progress(quiet=True)


def embed(texts):
    """Unit vectors that depend on nothing but the text: half its first word, half the whole."""

    def vector(text):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
        return np.random.default_rng(seed).normal(size=24)

    rows = np.array([vector(text.split()[0] if text.split() else "") + vector(text) for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", params=[1, 4])
def pair(model_folder, tmp_path_factory, request):
    folder = build("standard", tmp_path_factory.mktemp("sae"), metadata={"average_over": request.param})
    return load_pair(ModelConfig(name=str(model_folder("llama")), dtype="float32"), SAEConfig(folder=folder))


@pytest.fixture(scope="module")
def pieces(pair):
    """Documents of one or several pieces; two documents are the same, so that some windows are."""
    rng = np.random.default_rng(0)
    words = TEXT.split()
    texts = [" ".join(rng.choice(words, rng.integers(8, 120))) + f" {i}.\n" for i in range(30)]
    return list(cut_pieces([*texts, texts[3], texts[3]], pair.lm.tokenizer, context=100, bos_id=pair.bos_id))


def read(pair, pieces, **options):
    return measure.read_texts(pair, pieces, tokens=10**6, embed=embed, progress=QUIET, **options)[1].coherence


def by_brute_force(pair, pieces):
    import torch

    own = [piece.ids[piece.in_body] for piece in pieces]
    decode = pair.lm.tokenizer.decode

    def text(i, token):
        start = max(0, min(token // WINDOW * WINDOW, len(own[i]) - WINDOW))
        return decode(own[i][start : start + WINDOW].tolist())

    every = embed([text(i, token) for i in range(len(pieces)) for token in range(0, len(own[i]), WINDOW)])
    peaks = {}  # (latent, document): (activation, window's text)
    for i, piece in enumerate(pieces):
        with torch.inference_mode():
            x = measure.read_hook(pair.lm, pair.hook, [piece.ids])[0]
            z = pair.sae.encode(pair.sae.inputs(x, piece.in_body)).numpy()
        for token, latent in zip(*np.nonzero(z), strict=True):
            key = (latent, piece.document)
            if z[token, latent] > peaks.get(key, (0, ""))[0]:
                peaks[key] = (z[token, latent], text(i, token))
    expected = np.full(pair.sae.d_sae, np.nan)
    for latent in range(pair.sae.d_sae):
        strongest = sorted((peak for key, peak in peaks.items() if key[0] == latent), reverse=True)[:10]
        different = sorted({window for _, window in strongest})
        if len(different) >= 5:
            u = embed(different) - every.mean(axis=0)
            u /= np.linalg.norm(u, axis=1, keepdims=True)
            expected[latent] = np.mean([a @ b for a, b in itertools.combinations(u, 2)])
    return expected


def test_coherence_equals_a_brute_force_count(pair, pieces, monkeypatch):
    expected = by_brute_force(pair, pieces)
    known = ~np.isnan(expected)
    assert known.sum() > 5
    for block, usual in ((10**6, 2048), (50, 2048), (10**6, 25)):
        monkeypatch.setattr(measure, "BLOCK_TOKENS", block)
        monkeypatch.setattr(measure, "CENTRE_WINDOWS", usual)
        measured = read(pair, pieces)
        assert np.array_equal(~np.isnan(measured), known)
        if usual < 100:  # another centre, of fewer windows
            assert np.corrcoef(measured[known], expected[known])[0, 1] > 0.8
            continue
        # Ties of texts that are the same may fall either way.
        assert np.mean(np.abs(measured[known] - expected[known]) < 1e-4) > 0.9


def planted_tokens(text, place):
    return TextTokens(text, text, text, place, np.zeros(len(text), bool), text[:, None])


class Numbers:
    """A tokenizer whose text is the first token's number."""

    def decode(self, ids):
        return str(ids[0])


def test_topics_are_told_from_latents_that_fire_at_random():
    """600 texts of 20 subjects; a text's vector has a share of its subject of about a third, as sentences have."""
    rng = np.random.default_rng(6)
    subject = rng.integers(20, size=600)
    subjects = rng.normal(size=(20, 100))
    vectors = 0.6 * subjects[subject] + rng.normal(size=(600, 100)) + 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = np.ones(8, bool)
    pieces = [TokenPiece(np.full(8, i, np.int32), own, ~own, i) for i in range(600)]
    kept = measure.StrongestWindows(200, pieces)
    latent, text = [], []
    for number in range(200):  # the first half are topics
        candidates = np.flatnonzero(subject == number % 20) if number < 100 else np.arange(600)
        chosen = rng.choice(candidates, 6, replace=False)
        latent += [number] * len(chosen)
        text += chosen.tolist()
    latent, text = np.array(latent), np.array(text)
    tokens = planted_tokens(np.arange(600), np.arange(600) * POSITIONS_PER_PIECE)
    kept.add(tokens, Active(latent, text, rng.exponential(size=len(text)) + 0.1))
    measured = kept.coherence(Numbers(), lambda texts: vectors[[int(text) for text in texts]])
    below = measured < MetricsConfig().mixed_below
    assert below[:100].mean() <= 0.05 and below[100:].mean() >= 0.95


def test_peaks_that_come_first_are_kept_however_they_are_added():
    rng = np.random.default_rng(3)
    latent, key = rng.integers(7, size=900), rng.integers(40, size=900).astype(float)
    place = rng.permutation(900)
    expected = [sorted(np.flatnonzero(latent == i), key=lambda row: (key[row], place[row]))[:5] for i in range(7)]
    for parts in (1, 9):
        kept = KeptPeaks(7, 5, number=np.dtype(np.int64), pair=np.dtype((np.float16, (2,))))
        for part in np.array_split(np.arange(900), parts):
            kept.add(latent[part], key[part], position=place[part], number=part, pair=np.stack([part, -part], axis=1))
        for i in range(7):
            assert kept["number"][i].tolist() == expected[i] and kept["pair"][i, :, 1].tolist() == [
                -n for n in expected[i]
            ]
