"""What is on the surface of tokens, read from a model: by brute force, in any chunks."""

from __future__ import annotations

import numpy as np
import pytest

from competency_gaps.items.config import ModelConfig, SAEConfig
from competency_gaps.sae import measure, surface
from competency_gaps.sae.load import load_pair
from competency_gaps.sae.texts import TokenPiece, cut_pieces
from competency_gaps.util.progress import Progress
from core_helpers import TEXT
from sae_helpers import build

QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def pair(model_folder, sae_folder):
    return load_pair(ModelConfig(name=str(model_folder("llama")), dtype="float32"), SAEConfig(folder=sae_folder))


@pytest.fixture(scope="module")
def pieces(pair):
    rng = np.random.default_rng(0)
    words = TEXT.split()
    texts = [" ".join(rng.choice(words, rng.integers(10, 60))) + f" {i}.\n" for i in range(40)]
    return list(cut_pieces(texts, pair.lm.tokenizer, context=40, bos_id=pair.bos_id))


@pytest.fixture(scope="module")
def latents(pair, pieces):
    """Each piece's latents on its own text's tokens."""
    import torch

    with torch.inference_mode():
        read = [measure.read_hook(pair.lm, pair.hook, [piece.ids])[0] for piece in pieces]
        return [pair.sae.encode(x)[torch.from_numpy(p.in_body)].numpy() for x, p in zip(read, pieces, strict=True)]


def read(pair, pieces):
    return measure.read_texts(pair, pieces, tokens=10**6, progress=QUIET)[1]


def test_shares_of_mass_equal_a_direct_count(pair, pieces, latents):
    reference = read(pair, pieces)
    mass = np.concatenate(latents).sum(axis=0)
    forms = {name: np.zeros(len(mass)) for name in surface.FORMS}
    first = np.zeros(len(mass))
    for piece, z in zip(pieces, latents, strict=True):
        first += z[: surface.FIRST_TOKENS].sum(axis=0)
        for token, row in zip(piece.ids[piece.in_body], z, strict=True):
            form = surface.form_of(pair.lm.tokenizer.decode([int(token)]))
            if form is not None:
                forms[form] += row
    known = mass > 0
    assert known.sum() > 20 and sum(forms.values()).sum() > 0
    for name, values in (*forms.items(), ("first_share", first)):
        assert getattr(reference, name)[known] == pytest.approx((values / np.maximum(mass, 1e-30))[known], abs=1e-5)
        assert np.isnan(getattr(reference, name)[~known]).all()


def test_is_the_same_in_any_chunks(pair, pieces, monkeypatch):
    whole = read(pair, pieces)
    for name, value in (("token_budget_on", lambda _: 200), ("CHUNK_TOKENS", 17), ("BLOCK_TOKENS", 50)):
        monkeypatch.setattr(measure, name, value)
    divided = read(pair, pieces)
    for name in ("lexical_share", "pair_share", *surface.FORMS, "first_share"):
        one, other = getattr(whole, name), getattr(divided, name)
        assert (~np.isnan(one)).sum() > 10
        assert other == pytest.approx(one, abs=1e-4, nan_ok=True), name


def test_forms_of_tokens():
    forms = {" \n": "space", "": "space", ".": "punctuation", "12": "digits", " $5": "digits", "</": "markup"}
    assert {text: surface.form_of(text) for text in forms} == forms
    assert all(surface.form_of(text) is None for text in ("a1", " word", "é", "\ufffd"))


OVER = 4


@pytest.fixture(scope="module")
def averaging(model_folder, tmp_path_factory):
    folder = build("standard", tmp_path_factory.mktemp("sae"), metadata={"average_over": OVER})
    return load_pair(ModelConfig(name=str(model_folder("llama")), dtype="float32"), SAEConfig(folder=folder))


def test_for_averages_the_tokens_of_the_stretch_count(averaging, pieces):
    """By brute force: stretch by stretch, for concepts that are active in fewer texts than are sampled."""
    import torch

    pieces = [piece for piece in pieces if piece.in_body.sum() >= OVER]
    reference = read(averaging, pieces)
    own = [piece.ids[piece.in_body] for piece in pieces]
    with torch.inference_mode():
        at_hook = [measure.read_hook(averaging.lm, averaging.hook, [piece.ids])[0] for piece in pieces]
        inputs = [averaging.sae.inputs(x, p.in_body) for x, p in zip(at_hook, pieces, strict=True)]
        z = np.concatenate([averaging.sae.encode(x).numpy() for x in inputs])
    stretches = [
        ids[start : start + OVER]
        for ids in own
        for start in (max(0, min(t - OVER // 2, len(ids) - OVER)) for t in range(len(ids)))
    ]
    text = np.concatenate([np.full(len(ids), piece.document) for ids, piece in zip(own, pieces, strict=True)])
    usual = {
        int(token): np.mean([token in stretch for stretch in stretches]) for token in np.unique(np.concatenate(own))
    }
    is_digit = {token: surface.form_of(averaging.lm.tokenizer.decode([token])) == "digits" for token in usual}
    digits = np.array([np.mean([is_digit[int(token)] for token in stretch]) for stretch in stretches])
    checked = 0
    for concept in range(averaging.sae.d_sae):
        values = z[:, concept]
        peaks = []
        for number in np.unique(text):
            place = np.flatnonzero(text == number)
            best = place[values[place].argmax()]
            if values[best] > 0:
                peaks.append((set(stretches[best].tolist()), values[best]))
        if len(peaks) < surface.MIN_PEAKS:
            assert np.isnan(reference.word_share[concept])
            continue
        mass = sum(value for _, value in peaks)
        beyond = []
        for token in set.union(*(stretch for stretch, _ in peaks)):
            share = sum(value for stretch, value in peaks if token in stretch) / mass
            drawn = (len(peaks) * share + surface.PRIOR_PEAKS * usual[token]) / (len(peaks) + surface.PRIOR_PEAKS)
            beyond.append((drawn - usual[token]) / (1 - min(usual[token], 0.999)))
        assert reference.word_share[concept] == pytest.approx(max(beyond), abs=0.02)
        assert reference.digits[concept] == pytest.approx(values @ digits / values.sum(), abs=1e-4)
        checked += 1
    assert checked > 5
    assert np.isnan(reference.lexical_share).all()


def test_a_word_and_a_topic_are_told_apart(pair):
    """Planted in stretches of 8 tokens: one latent goes with a word, the other with any of a topic's twenty words."""
    rng = np.random.default_rng(5)
    texts = rng.integers(100, 400, (300, 40))
    texts[rng.random(texts.shape) < 0.01] = 7
    topic = rng.random(300) < 0.2
    texts[topic] = np.where(rng.random((topic.sum(), 40)) < 0.3, rng.integers(50, 70, (topic.sum(), 40)), texts[topic])
    own = np.ones(40, bool)
    pieces = [TokenPiece(ids.astype(np.int32), own, ~own, i) for i, ids in enumerate(texts)]
    counted = surface.Surface(2, pieces, pair.lm.tokenizer, 8)
    tokens = counted.tokens(range(300))
    stretch = tokens.token[tokens.stretch]
    word, about = (stretch == 7).any(axis=1), np.repeat(topic, 40)
    value = np.r_[np.ones(word.sum()), np.ones(about.sum())]
    latent = np.r_[np.zeros(word.sum(), np.int64), np.ones(about.sum(), np.int64)]
    counted.add(tokens, surface.Active(latent, np.r_[np.flatnonzero(word), np.flatnonzero(about)], value))
    share = counted.columns()["word_share"]
    assert share[0] > 0.8 and share[1] < 0.5
