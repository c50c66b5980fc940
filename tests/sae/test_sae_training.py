"""Training on a tiny model: the SAE loads in SAELens, its card and reference agree with a direct computation."""

from __future__ import annotations

import json
import sys

import numpy as np
import polars as pl
import pytest

from competency_gaps.items.config import ModelConfig, TrainingConfig, as_dict
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.sae.reference import read_reference
from competency_gaps.sae.texts import cut_pieces, read_documents
from competency_gaps.sae.train import activation_batches, train_sae
from competency_gaps.util.errors import UserError
from competency_gaps.util.progress import Progress
from core_helpers import ROOT, TEXT

HOOK = "blocks.2.hook_resid_post"


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Training and held-out documents: plain and chat."""
    folder = tmp_path_factory.mktemp("texts")
    words = TEXT.split()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(160):
        text = " ".join(rng.choice(words, 60))
        chat = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
        rows.append({"text": None, "messages": json.dumps(chat)} if i % 3 == 0 else {"text": text, "messages": None})
    schema = {"text": pl.String, "messages": pl.String}
    pl.DataFrame(rows[:130], schema=schema).write_parquet(folder / "train.parquet")
    pl.DataFrame(rows[130:], schema=schema).write_parquet(folder / "heldout.parquet")
    return folder


@pytest.fixture(scope="module")
def config(texts, model_folder):
    return TrainingConfig(
        model=ModelConfig(name=str(model_folder("llama")), dtype="float32"),
        texts=[texts / "train.parquet"],
        heldout=[texts / "heldout.parquet"],
        heldout_tokens=10**6,
        hook_name=HOOK,
        d_sae=64,
        sae={"k": 8},
        tokens=30_000,
        context=64,
        batch=256,
        lr=3e-3,
        trainer={"dead_feature_window": 8},
    )


@pytest.fixture(scope="module")
def pack(config, tmp_path_factory):
    return train_sae(config, tmp_path_factory.mktemp("pack"), Progress(quiet=True))


def test_the_card_is_what_saelens_own_loading_gives(pack, config):
    import torch
    from sae_lens import SAE

    sae = SAE.load_from_disk(pack)
    assert sae.cfg.metadata.hook_name == HOOK and sae.cfg.metadata.prepend_bos
    lm = load_model(config.model)
    pieces = list(cut_pieces(read_documents(config.heldout), lm.tokenizer, context=64, bos_id=0))
    hook = resolve_hook(lm.model, HOOK)
    x = torch.cat([read_hook(lm, hook, [p.ids])[0][torch.from_numpy(~p.bos)] for p in pieces])
    with torch.inference_mode():
        z = sae.encode(x)
        error = (x - sae.decode(z)).square().sum() / (x - x.mean(dim=0)).square().sum()
    figures = json.loads((pack / "card.json").read_text())["figures"]
    assert 1 - float(error) > 0.3
    assert figures["heldout_tokens"] == len(x)
    assert figures["heldout_explained_variance"] == pytest.approx(1 - float(error), abs=1e-3)
    assert figures["heldout_l0"] == pytest.approx(float((z > 0).sum(1).float().mean()), rel=1e-3)


def test_it_is_trained_on_the_activations_of_the_texts(config):
    """A batch holds activations of the own tokens of many documents."""
    lm = load_model(config.model)
    hook = resolve_hook(lm.model, HOOK)
    plain = config.model_copy(update={"template_share": 0.0})
    batch = next(activation_batches(lm, hook, 0, plain)).numpy()
    of_texts = {}
    for piece in cut_pieces(read_documents(config.texts), lm.tokenizer, context=64, bos_id=0):
        for row in read_hook(lm, hook, [piece.ids])[0].numpy()[piece.in_body]:
            of_texts[tuple(row.round(2))] = piece.document
    documents = [of_texts.get(tuple(row.round(2))) for row in batch]
    assert batch.shape == (256, 32) and sum(document is not None for document in documents) > 200
    assert len(set(documents)) > 20


def test_settings_that_saelens_does_not_know_are_refused(config, tmp_path):
    for change in ({"architecture": "magic"}, {"sae": {"kk": 3}}, {"trainer": {"learning_rate": 1}}):
        with pytest.raises(UserError, match="SAELens rejects these settings"):
            train_sae(config.model_copy(update=change), tmp_path, Progress(quiet=True))


@pytest.mark.slow
def test_the_recipe_of_stretches_makes_an_sae_that_explains_averages(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes" / "stretches"))
    monkeypatch.delitem(sys.modules, "train", raising=False)
    import train

    shared = {key: as_dict(config)[key] for key in ("model", "texts", "heldout", "hook_name", "d_sae", "context")}
    recipe = train.Recipe.model_validate(
        {**shared, "average_over": 4, "k": 8, "tokens": 6000, "epochs": 6, "batch": 128}
    )
    train.train(recipe, tmp_path, Progress(quiet=True))
    figures = json.loads((tmp_path / "card.json").read_text())["figures"]
    assert figures["heldout_explained_variance"] > 0.3
    recovered = figures["heldout_loss_ablated"] - figures["heldout_loss_reconstructed"]
    assert figures["heldout_loss_recovered"] == pytest.approx(
        recovered / (figures["heldout_loss_ablated"] - figures["heldout_loss"])
    )


def test_reference_equals_a_direct_count(pack, config):
    import torch
    from sae_lens import SAE

    lm = load_model(config.model)
    sae = SAE.load_from_disk(pack)
    hook = resolve_hook(lm.model, HOOK)
    chosen = list(cut_pieces(read_documents(config.heldout), lm.tokenizer, context=64, bos_id=0))
    reference = read_reference(pack / "reference.parquet", 64)
    active, mass, template, tokens = np.zeros(64), np.zeros(64), np.zeros(64), 0
    windows = []
    with torch.inference_mode():
        for piece in chosen:
            z = sae.encode(read_hook(lm, hook, [piece.ids])[0]).numpy()
            text, is_text = z[~piece.bos], piece.content[~piece.bos]
            stretches = [(text[i : i + 64], is_text[i : i + 64]) for i in range(0, len(text), 64)]
            windows += [rows[keep].mean(axis=0) for rows, keep in stretches if keep.any()]
            for t in range(len(piece.ids)):
                if piece.bos[t]:
                    continue
                tokens += 1
                active += z[t] > 0
                if piece.content[t]:
                    mass += z[t]
                else:
                    template += z[t]
    assert reference.density == pytest.approx(active / tokens, abs=2e-3)
    assert reference.share == pytest.approx(mass / mass.sum(), abs=2e-4)
    known = mass + template > 0
    assert reference.template_share[known] == pytest.approx((template / (mass + template + 1e-30))[known], abs=5e-3)
    assert np.isnan(reference.template_share[~known]).all()
    cas = np.stack(windows)
    assert reference.window_density == pytest.approx((cas > 0).mean(axis=0), abs=0.04)
    often = (cas > 0).sum(axis=0) >= 5
    typical = cas.sum(axis=0)[often] / (cas > 0).sum(axis=0)[often]
    assert reference.window_cas[often] == pytest.approx(typical, rel=0.05)


def test_documents_are_read_piece_by_piece_in_order(tmp_path, monkeypatch):
    from competency_gaps.sae import texts as module

    chat = [{"role": "user", "content": "a\u2028b"}]
    rows = [{"text": f"t {i}", "messages": None} for i in range(7)]
    rows[3] = {"text": None, "messages": json.dumps(chat)}
    rows[5] = {"text": "  ", "messages": None}
    wanted = ["t 0", "t 1", "t 2", chat, "t 4", "t 6"]
    pl.DataFrame(rows).with_columns(other=1).write_parquet(tmp_path / "a.parquet")
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines[4] = json.dumps({"text": "t 4", "extra": [1]})
    (tmp_path / "a.jsonl").write_text("\r\n".join(lines[:4]) + "\n\n" + "\n".join(lines[4:]), newline="")
    (tmp_path / "native.jsonl").write_text(json.dumps({"messages": chat}) + "\n")
    text = "\n\n\none\ntwo\n\n\n\nthree\r\n\r\n  \n\nfour ünï\n\n\nfive"
    (tmp_path / "a.txt").write_bytes(text.encode())
    paragraphs = [part for part in text.replace("\r\n", "\n").split("\n\n") if part.strip()]
    heights, collect = [], pl.LazyFrame.collect
    monkeypatch.setattr(
        pl.LazyFrame, "collect", lambda self, *a, **k: heights.append((found := collect(self, *a, **k)).shape) or found
    )
    monkeypatch.setattr(module, "ROWS_PER_READ", 3)
    files = [tmp_path / name for name in ("a.parquet", "a.jsonl", "native.jsonl", "a.txt")]
    for block in (1, 2, 3, 1000):
        monkeypatch.setattr(module, "CHARACTERS_PER_READ", block)
        assert list(read_documents(files)) == [*wanted, *wanted, chat, *paragraphs]
    assert max(height for height, _ in heights) == 3 and {width for _, width in heights} == {2}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n{"text": 5}\n', "line 2: expected 'text' to be text, found int"),
        ("a.jsonl", b'{"text": "x\\ud800"}\n', "line 1: .*surrogate"),
        ("a.jsonl", b'{"messages": [{"role": "user"}]}\n', "line 1: expected 'messages' to be a list"),
        ("a.jsonl", b'{"words": "x"}\n', "expected a column 'text' or 'messages'"),
        ("a.txt", b"fine\n\n\xff", "not UTF-8"),
        ("a.parquet", b"PAR1 no", "its columns: "),
    ],
)
def test_a_bad_document_is_reported_with_its_place(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_documents([tmp_path / name]))
