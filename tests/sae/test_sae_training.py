"""Training on a tiny model: the pack loads in SAELens, its card and reference agree with a direct computation."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from competency_gaps.sae.training.activations import cache_activations

from competency_gaps.config import ModelConfig, TrainingConfig
from competency_gaps.errors import UserError
from competency_gaps.model.forward import read_hook
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.model.load import load_model
from competency_gaps.progress import Progress
from competency_gaps.sae.reference import read_reference
from competency_gaps.sae.texts import cut_pieces, read_documents
from competency_gaps.sae.train import train_sae
from core_helpers import TEXT

WIDTH = 32
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
        heldout_tokens=2000,
        hook_name=HOOK,
        d_sae=64,
        k=8,
        tokens=8000,
        epochs=4,
        context=64,
        batch=256,
        lr=3e-3,
        dead_after=2000,
        autocast=False,
        save_dtype="float16",
    )


@pytest.fixture(scope="module")
def pack(config, tmp_path_factory):
    return train_sae(config, tmp_path_factory.mktemp("pack"), Progress(quiet=True))


def test_pack_loads_in_saelens_and_explains_the_activations(pack, config, model_folder):
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
    # The card reads the first 2,000 tokens of these pieces only, so that the figures differ a little.
    assert figures["heldout_explained_variance"] == pytest.approx(1 - float(error), abs=0.05)
    ablated, clean, rebuilt = (figures[f"heldout_loss{n}"] for n in ("_ablated", "", "_reconstructed"))
    assert figures["heldout_loss_recovered"] == pytest.approx((ablated - rebuilt) / (ablated - clean), abs=0.02)
    assert figures["heldout_l0"] == pytest.approx(float((z > 0).sum(1).float().mean()), rel=0.1)


def test_reference_equals_a_direct_count(pack, config):
    import torch
    from sae_lens import SAE

    lm = load_model(config.model)
    sae = SAE.load_from_disk(pack)
    hook = resolve_hook(lm.model, HOOK)
    chosen, total = [], 0
    for piece in cut_pieces(read_documents(config.heldout), lm.tokenizer, context=64, bos_id=0):
        if total >= config.heldout_tokens:
            break
        chosen.append(piece)
        total += len(piece.ids)
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


def test_a_lost_shard_is_made_again_byte_for_byte(config, pack, model_folder):
    lm = load_model(config.model)
    hook = resolve_hook(lm.model, HOOK)
    folder = pack / "activations"
    shard = sorted(folder.glob("shard-*.safetensors"))[0]
    before = shard.read_bytes()
    shard.unlink()
    cache = cache_activations(config, lm, hook, 0, folder, Progress(quiet=True))
    assert shard.read_bytes() == before
    assert cache.tokens >= 8000
    batch = next(cache.batches(256, seed=1))
    assert batch.shape == (256, WIDTH)


def test_activations_of_other_texts_are_never_overwritten(config, pack, texts, tmp_path):
    lm = load_model(config.model)
    hook = resolve_hook(lm.model, HOOK)
    shards = {path: path.stat().st_mtime_ns for path in (pack / "activations").glob("shard-*")}
    absent = config.model_copy(update={"texts": [tmp_path / "absent.parquet"]})
    with pytest.raises(UserError, match=r"absent\.parquet.*no such file"):
        cache_activations(absent, lm, hook, 0, pack / "activations", Progress(quiet=True))
    other = config.model_copy(update={"texts": [texts / "heldout.parquet"]})
    with pytest.raises(UserError, match="differ in texts"):
        cache_activations(other, lm, hook, 0, pack / "activations", Progress(quiet=True))
    assert shards == {path: path.stat().st_mtime_ns for path in (pack / "activations").glob("shard-*")}


def test_a_finished_sae_is_not_trained_again_for_its_card(config, pack):
    weights = (pack / "sae_weights.safetensors").stat().st_mtime_ns
    before = json.loads((pack / "card.json").read_text())["figures"]["heldout_tokens"]
    train_sae(config.model_copy(update={"heldout_tokens": 1000}), pack, Progress(quiet=True))
    assert (pack / "sae_weights.safetensors").stat().st_mtime_ns == weights
    assert json.loads((pack / "card.json").read_text())["figures"]["heldout_tokens"] < before
    train_sae(config.model_copy(update={"heldout_tokens": 1000, "k": 6}), pack, Progress(quiet=True))
    assert (pack / "sae_weights.safetensors").stat().st_mtime_ns > weights


def test_documents_are_read_piece_by_piece_in_order(tmp_path, monkeypatch):
    from competency_gaps.sae.training import texts as module

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
    monkeypatch.setattr(module, "ROWS", 3)
    files = [tmp_path / name for name in ("a.parquet", "a.jsonl", "native.jsonl", "a.txt")]
    for block in (1, 2, 3, 1000):
        monkeypatch.setattr(module, "BLOCK", block)
        assert list(read_documents(files)) == [*wanted, *wanted, chat, *paragraphs]
    assert max(height for height, _ in heights) == 3 and {width for _, width in heights} == {2}


def test_a_bad_line_is_reported_only_when_it_is_reached(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"text": "two"\n')
    documents = read_documents([path])
    assert next(documents) == "one"
    with pytest.raises(UserError, match=r"a\.jsonl', line 3: not JSON"):
        next(documents)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"[1]\n", "line 1: a list, not an object"),
        ("a.jsonl", b'{"text": "x"}\n{"text": 5}\n', "line 2: expected 'text' to be text, found int"),
        ("a.jsonl", b'{"text": "x\\ud800"}\n', "line 1: .*surrogate"),
        ("a.jsonl", b'{"messages": [{"role": "user"}]}\n', "line 1: expected 'messages' to be a list"),
        ("a.jsonl", b'{"messages": "{"}\n', "line 1: "),
        ("a.jsonl", b'{"words": "x"}\n', "expected a column 'text' or 'messages', found words"),
        ("a.jsonl", b"", "expected a column 'text' or 'messages', found none"),
        ("a.txt", b"fine\n\n\xff", "not UTF-8"),
        ("a.parquet", b"PAR1 no", "cannot be read as Parquet"),
    ],
)
def test_a_bad_document_is_reported_with_its_place(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_documents([tmp_path / name]))
