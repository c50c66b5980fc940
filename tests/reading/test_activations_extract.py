"""CAS of real prompts, recomputed with plain transformers and SAELens, equals ``Run.cas``: every span and pooling.

So do the activations of single tokens.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

import competency_gaps
from competency_gaps.items.config import SAEConfig
from competency_gaps.model.hooks import resolve_hook
from competency_gaps.reading.extract import Extractor, ItemTokens
from competency_gaps.sae.load import load_sae
from core_helpers import STORED, loaded, tokens_of_range, with_benchmarks, write_lines

SPANS = ("question", "prompt", "prompt+bos", "response", "all")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Questions that the model answers in words; one of them several times as long as the others."""
    texts = ["  The fox 🦊 and the dog." * (1 + 3 * (i == 2)) + f" How many days in March {i}?" for i in range(6)]
    rows = [{"id": f"w{i}", "prompt": text, "answer": "x"} for i, text in enumerate(texts)]
    return write_lines(tmp_path_factory.mktemp("written") / "written.jsonl", rows)


def config(tiny_config, written, **settings):
    quiz = {**tiny_config["benchmarks"][0], "sample": 7}
    asked = {
        "name": "written",
        "source": {"kind": "file", "path": str(written)},
        "scorer": "exact",
        "options": {"max_new_tokens": 9},
        "before": "Example: 4.\n",
    }
    plain = {**asked, "name": "plain", "chat_template": "off", "after": ""}
    return with_benchmarks(tiny_config, [quiz, asked, plain], **settings)


def recomputed(row: dict, name: str, span: str, lm, sae) -> np.ndarray | None:
    """Per-token latents of an item's span, from nothing but its texts; null where the model wrote only blanks."""
    tokenizer = lm.tokenizer
    if name == "quiz":
        text = row["prompt"] + "\nAnswer:"
        own, bos = (0, len(row["prompt"])), [0]
    elif name == "plain":
        text = "Example: 4.\n" + row["prompt"]
        own, bos = (12, len(text)), [0]
    else:
        head = "<|start|>user\nExample: 4.\n"
        text = head + row["prompt"] + "<|end|>\n<|start|>assistant\n"
        own, bos = (len(head), len(head) + len(row["prompt"])), []
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if name == "quiz":
        answer = tokenizer(" " + row["response"], add_special_tokens=False)["input_ids"]
    else:
        out = lm.model.generate(input_ids=torch.tensor([bos + ids]), do_sample=False, max_new_tokens=9, pad_token_id=1)[
            0, len(bos) + len(ids) :
        ].tolist()
        answer = out[: out.index(1)] if 1 in out else out
        shown = tokenizer.decode(answer, skip_special_tokens=True)
        if "\n\n" in shown.lstrip():  # the scorer's stop string
            pytest.fail("choose another question: this answer stops early")
        if not shown.strip():
            answer = []
            if span == "response":
                return None
    if span not in ("response", "all"):
        answer = []
    mask = {
        "question": [False] * len(bos) + tokens_of_range(tokenizer, ids, text, *own).tolist(),
        "prompt": [False] * len(bos) + [True] * len(ids),
        "prompt+bos": [True] * (len(bos) + len(ids)),
        "response": [False] * (len(bos) + len(ids)),
        "all": [False] * len(bos) + [True] * len(ids),
    }[span] + [True] * len(answer)
    if not bos and span in ("prompt", "all"):
        mask[0] = False  # a template's first special token marks the start
    with torch.inference_mode():
        hidden = lm.model(input_ids=torch.tensor([bos + ids + answer]), output_hidden_states=True).hidden_states[3][0]
        return sae.encode(hidden[torch.tensor(mask)]).numpy()


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("span", SPANS)
def test_run_equals_plain_libraries(span, pooling, tiny_config, written, model_folder, sae_folder, tmp_path):
    from sae_lens import SAE

    run = competency_gaps.run(
        config(tiny_config, written, span=span, pooling=pooling, batch_tokens=128), tmp_path / "run"
    )
    lm, sae = loaded(model_folder("llama")), SAE.load_from_disk(sae_folder)
    compared = first = 0
    for name in ("quiz", "written", "plain"):
        cas = run.cas(name).toarray()
        items = run.items.filter(pl.col("benchmark") == name)
        for i, row in enumerate(items.iter_rows(named=True)):
            z = recomputed(row, name, span, lm, sae)
            if z is None:
                assert name == "written" and row["excluded"]["code"] == "no_response" and not cas[i].any()
                continue
            assert row["excluded"] is None
            expected = z.mean(axis=0) if pooling == "mean" else z.max(axis=0)
            assert row["n_span_tokens"] == len(z)
            assert cas[i] == pytest.approx(expected, rel=STORED, abs=1e-4)
            compared += int((expected > 0).sum())
            for concept in range(z.shape[1]):
                (kept,) = run.token_activations(concept, [first + i])
                assert kept.activation == pytest.approx(z[z[:, concept] > 0, concept], rel=2**-10, abs=1e-4)
        first += items.height
    assert compared > 20


def test_peaks_point_at_the_strongest_token(tiny_run, model_folder, sae_folder):
    from sae_lens import SAE

    lm, sae = loaded(model_folder("llama")), SAE.load_from_disk(sae_folder)
    checked = 0
    for concept in tiny_run.concepts.filter(pl.col("support") > 0)["concept"].to_list()[:6]:
        for row in tiny_run.concept_items(concept, limit=3).iter_rows(named=True):
            assert row["text"][row["body_start"] : row["body_end"]] in row["text"]
            ids = [0, *lm.tokenizer(row["text"], add_special_tokens=False)["input_ids"]]
            with torch.inference_mode():
                hidden = lm.model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[3][0]
                z = sae.encode(hidden)[:, concept].numpy()
            own = tokens_of_range(lm.tokenizer, ids[1:], row["text"], row["body_start"], row["body_end"])
            z = np.where(np.r_[False, own], z, -1.0)
            marked = tokens_of_range(lm.tokenizer, ids[1:], row["text"], row["peak_start"], row["peak_end"])
            assert int(np.argmax(z)) - 1 in np.flatnonzero(marked)
            checked += 1
    assert checked > 6


@pytest.mark.parametrize("budget", [16, 100, 5000])
def test_batches_and_later_tokens_change_nothing(budget, model_folder, sae_folder):
    """Order is kept, padding is invisible, and what follows the span is never read."""
    lm = loaded(model_folder("llama"))
    sae = load_sae(SAEConfig(folder=sae_folder), "cpu")
    extractor = Extractor(lm, resolve_hook(lm.model, sae.hook_name), sae, "mean", budget)
    rng = np.random.default_rng(0)
    sequences = []
    for index, length in enumerate((9, 30, 2, 60, 17, 30)):
        ids = rng.integers(4, 300, length).astype(np.int32)
        span = rng.random(length) < 0.5
        span[length // 2] = True
        span[length - 1] = False
        sequences.append(ItemTokens(100 + index, ids, np.stack([np.arange(length), np.arange(length) + 1], 1), span))
    block, _ = extractor.block(sequences, extractor.rows(sequences, lambda n: None))
    assert block.items.tolist() == [100, 101, 102, 103, 104, 105]
    for row, one in enumerate(sequences):
        with torch.inference_mode():
            hidden = lm.model(
                input_ids=torch.from_numpy(one.ids.astype(np.int64))[None], output_hidden_states=True
            ).hidden_states[3][0]
            z = sae.encode(hidden)[torch.from_numpy(one.span)].numpy()
        assert block.cas[[row]].toarray()[0] == pytest.approx(z.mean(axis=0), abs=1e-4)
        places = np.flatnonzero(one.span)
        start, end = block.cas.indptr[row], block.cas.indptr[row + 1]
        for concept, peak in zip(block.cas.indices[start:end], block.peaks[start:end], strict=True):
            assert peak in places and z[:, concept].max() == pytest.approx(
                z[np.flatnonzero(places == peak)[0], concept], abs=1e-5
            )
    tokens = np.concatenate([one.ids for one in sequences])
    assert block.token_ids.tolist() == tokens.tolist()
    rows = np.repeat(np.arange(6), np.diff(block.cas.indptr))
    assert block.peak_tokens().tolist() == [int(sequences[r].ids[p]) for r, p in zip(rows, block.peaks, strict=True)]
