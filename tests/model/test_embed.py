"""Texts as vectors, by a tiny model in int8 that is made here: what it computes, and on what that depends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from competency_gaps.model import embed
from competency_gaps.model.embed import MAX_TOKENS, NoModelError, embed_texts
from competency_gaps.util.errors import UserError
from competency_gaps.util.files import CACHE_VARIABLE

onnx = pytest.importorskip("onnx", reason="the tiny model is made with onnx")
WORDS = ["[UNK]", "river", "train", "poem", "the", "of"]
TEXTS = ["the river", "train of the poem", "poem " * 50, "the river", "of river of train", "unknown"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tokenizer of words and a model: a row of a table for each word, times a matrix in int8."""
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(0)
    table, matrix = rng.normal(size=(len(WORDS), 32)), rng.normal(size=(32, 16))
    table[1:] *= rng.uniform(0.1, 3, (len(WORDS) - 1, 1))  # the scale of a batch depends on what is in it
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "matrix"], ["tokens"]),
    ]
    weights = [
        numpy_helper.from_array(values.astype(np.float32), name)
        for name, values in (("table", table), ("matrix", matrix))
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    out = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "length", 16])
    whole = helper.make_model(
        helper.make_graph(nodes, "tiny", [ids], [out], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(whole, folder / "whole.onnx")
    quantize_dynamic(folder / "whole.onnx", folder / "model.onnx", weight_type=QuantType.QInt8, reduce_range=True)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder), table @ matrix


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A cache folder without vectors, time after time."""
    count = iter(range(100))

    def start() -> None:
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / str(next(count))))
        embed._load.cache_clear()

    start()
    yield start
    embed._load.cache_clear()


def test_a_vector_is_the_mean_over_tokens(model, fresh):
    folder, rows = model
    texts = TEXTS
    wanted = np.array(
        [np.mean([rows[max(0, WORDS.index(w)) if w in WORDS else 0] for w in t.split()], 0) for t in texts]
    )
    vectors = embed_texts(texts, folder)
    assert vectors.shape == (len(texts), 16) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    assert ((vectors * wanted).sum(axis=1) / np.linalg.norm(wanted, axis=1)).min() > 0.995


def test_a_vector_depends_on_its_text_alone(model, fresh, monkeypatch):
    folder, texts = model[0], TEXTS
    together = embed_texts(texts, folder)
    for threads, batch, order in ((1, 1, 1), (2, 3, -1), (8, 256, 1)):
        fresh()
        monkeypatch.setattr(embed, "THREADS", threads)
        monkeypatch.setattr(embed, "TEXTS_PER_STORE", batch)
        np.testing.assert_array_equal(embed_texts(texts[::order], folder)[::order], together)
    for text, vector in zip(texts, together, strict=True):
        fresh()
        np.testing.assert_array_equal(embed_texts([text], folder)[0], vector)


def test_a_text_is_embedded_once_on_a_machine(model, fresh, monkeypatch):
    folder = model[0]
    first = embed_texts(["the river", "poem"], folder)
    embed._load.cache_clear()
    monkeypatch.setattr(embed._Encoder, "__call__", lambda *_: pytest.fail("embedded again"))
    np.testing.assert_array_equal(embed_texts(["poem", "the river", "poem"], folder), first[[1, 0, 1]])


def test_long_texts_are_cut(model, fresh):
    folder = model[0]
    rivers = "river " * MAX_TOKENS
    many = embed_texts([rivers, rivers + "train " * 20, "train river"], folder)
    np.testing.assert_array_equal(many[0], many[1])
    assert (many[0] != many[2]).any()


def test_a_model_out_of_reach_or_damaged_says_what_to_do(model, fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "_hub_answers", lambda: False)
    with pytest.raises(NoModelError, match=r"'nobody/nothing' is not on this machine.*slices\.embedder"):
        embed_texts(["a"], "nobody/nothing")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    (tmp_path / "tokenizer.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"cannot be loaded"):
        embed_texts(["a"], str(tmp_path))
