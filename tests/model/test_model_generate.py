"""Batched answers equal transformers' own generation, one prompt at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.items.config import GenerationConfig
from competency_gaps.items.item import Reason
from competency_gaps.items.scorer import Generation
from competency_gaps.model.batches import Attempts
from competency_gaps.model.respond import generate
from core_helpers import KINDS, loaded

NEW = 12


def prompts(vocabulary: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(4, vocabulary, n).astype(np.int32) for n in (3, 40, 9, 21, 40, 1)]


def ours(lm, ids, *, stop=(), budget=300, keys=(), **config):
    return generate(
        lm,
        ids,
        Generation(NEW, stop),
        config=GenerationConfig(**config),
        token_budget=budget,
        advance=lambda n: None,
        attempts=Attempts(),
        keys=keys or [""] * len(ids),
    )


def alone(lm, ids: np.ndarray) -> list[int]:
    with torch.inference_mode():
        out = lm.model.generate(
            input_ids=torch.from_numpy(ids.astype(np.int64))[None], do_sample=False, max_new_tokens=NEW, pad_token_id=1
        )
    new = out[0, len(ids) :].tolist()
    return new[: new.index(1)] if 1 in new else new


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_equals_one_by_one(kind, model_folder):
    lm = loaded(model_folder(kind))
    ids = prompts(lm.model.config.vocab_size)
    truth = [alone(lm, one) for one in ids]
    for budget in (64, 400):
        found = ours(lm, ids, budget=budget)
        assert [f.response_ids.tolist() for f in found] == truth
        assert [f.output.text for f in found] == [lm.tokenizer.decode(t, skip_special_tokens=True) for t in truth]
    assert len({tuple(t) for t in truth}) > 2


@pytest.mark.parametrize(("kind", "cached"), [("llama", True), ("llama", False), ("gemma2", True), ("gpt2", True)])
def test_answers_after_a_shared_start(kind, cached, model_folder, monkeypatch):
    """Prompts of all lengths that begin alike, as with worked examples: the answers are those of each prompt alone.

    Also where the model's own settings say that it keeps no cache, as many fine-tuned checkpoints do.
    """
    lm = loaded(model_folder(kind))
    for settings in (lm.model.config, lm.model.generation_config):
        monkeypatch.setattr(settings, "use_cache", cached)
    rng = np.random.default_rng(5)
    start = rng.integers(4, lm.model.config.vocab_size, 25)
    ids = [np.append(start, rng.integers(4, lm.model.config.vocab_size, n)).astype(np.int32) for n in (1, 7, 40, 3, 3)]
    truth = [alone(lm, one) for one in ids]
    computed = []
    handle = lm.model.base_model.register_forward_pre_hook(
        lambda m, args, kwargs: computed.append(tuple((args[0] if args else kwargs["input_ids"]).shape)),
        with_kwargs=True,
    )
    try:
        assert [f.response_ids.tolist() for f in ours(lm, ids, budget=2000)] == truth
    finally:
        handle.remove()
    assert len({tuple(t) for t in truth}) > 2
    # Models with sliding windows keep no keys and values that could be handed on.
    assert ((5, 40) in computed and (1, 25) in computed) is (kind != "gemma2"), computed


def test_stop_strings(model_folder):
    lm = loaded(model_folder("llama"))
    ids = prompts(lm.model.config.vocab_size)
    # Sampled, because what this model likes best is to repeat itself.
    free = ours(lm, ids, temperature=1.0, seed=1)
    cut = 0
    for index, whole in enumerate(free):
        # Bytes of no character show differently with what follows them, so only what stands before them is a stop.
        clean = whole.output.text.split("\ufffd")[0][:-1]
        for stop in {clean[p : p + 2] for p in range(1, 4) if len(clean) >= p + 2 and not clean[:p].isspace()}:
            found = ours(lm, ids, temperature=1.0, seed=1, stop=(stop, "never said"))[index]
            lead = len(whole.output.text) - len(whole.output.text.lstrip())
            place = whole.output.text.index(stop, lead)
            assert found.output.text == whole.output.text[:place]
            assert found.response_ids.tolist() == whole.response_ids[: len(found.response_ids)].tolist()
            assert lm.tokenizer.decode(found.response_ids, skip_special_tokens=True).startswith(found.output.text)
            assert len(lm.tokenizer.decode(found.response_ids[:-1], skip_special_tokens=True)) < len(
                found.output.text
            ), "no token too many"
            cut += 1
    assert cut > 2


def test_sampled_is_reproducible_and_depends_on_the_seed(model_folder):
    lm = loaded(model_folder("llama"))
    ids = prompts(lm.model.config.vocab_size)
    torch.manual_seed(1)
    first = [a.response_ids.tolist() for a in ours(lm, ids, temperature=1.0, seed=5)]
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    assert [a.response_ids.tolist() for a in ours(lm, ids, temperature=1.0, seed=5)] == first
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is left as it was"
    assert [a.response_ids.tolist() for a in ours(lm, ids, temperature=1.0, seed=6)] != first
    assert [a.response_ids.tolist() for a in ours(lm, ids)] != first


def test_sampled_answers_do_not_depend_on_their_batch(model_folder):
    """A batch that is halved, or a lower batch_tokens, samples the same; equal prompts are sampled anew."""
    lm = loaded(model_folder("llama"))
    ids = prompts(lm.model.config.vocab_size)
    ids += ids[:2]
    keys = ["0"] * (len(ids) - 2) + ["1"] * 2

    def drawn(places, budget):
        chosen = [ids[i] for i in places], [keys[i] for i in places]
        return [
            a.response_ids.tolist() for a in ours(lm, chosen[0], keys=chosen[1], budget=budget, temperature=1.0, seed=5)
        ]

    places = list(range(len(ids)))
    whole = drawn(places, 2000)
    assert drawn(places, 16) == whole
    assert drawn(places[::-1], 100)[::-1] == whole
    assert [answer for place in places for answer in drawn([place], 100)] == whole
    assert whole[0] != whole[-2] and whole[1] != whole[-1]


def test_sampling_follows_the_models_distribution(model_folder):
    """Shares of a first token among many draws are those of softmax(logits / temperature), cut to the nucleus."""
    lm = loaded(model_folder("llama"))
    prompt = prompts(lm.model.config.vocab_size)[2]
    draws = 3000
    made = generate(
        lm,
        [prompt] * draws,
        Generation(1),
        config=GenerationConfig(temperature=1.5, top_p=0.6),
        token_budget=20_000,
        advance=lambda n: None,
        attempts=Attempts(),
        keys=[str(i) for i in range(draws)],
    )
    with torch.inference_mode():
        logits = lm.model(input_ids=torch.from_numpy(prompt.astype(np.int64))[None]).logits[0, -1].double()
    shares = (logits / 1.5).softmax(dim=0).numpy()
    order = np.argsort(-shares)
    kept = order[: int(np.searchsorted(np.cumsum(shares[order]), 0.6)) + 1]
    expected = np.zeros(len(shares))
    expected[kept] = shares[kept] / shares[kept].sum()
    # A token that ends the answer leaves no id.
    ends = {1}
    seen = np.bincount([a.response_ids[0] if len(a.response_ids) else 1 for a in made], minlength=len(shares)) / draws
    assert len(kept) > 3 and set(np.flatnonzero(seen)) <= set(kept.tolist()) | ends
    assert np.abs(seen - expected).max() < 5 * np.sqrt(0.25 / draws)
    assert len({a.response_ids.tobytes() for a in made}) > 3


@pytest.mark.parametrize(("temperature", "value"), [(0.0, float("nan")), (1.0, float("inf"))])
def test_logits_that_predict_nothing_give_no_answer(temperature, value, model_folder):
    """A fault above the hook, which no activation shows, costs the answer of its row only."""
    lm = loaded(model_folder("llama"))
    ids = prompts(lm.model.config.vocab_size)
    clean = [a.response_ids.tolist() for a in ours(lm, ids, temperature=temperature)]
    marked = 0

    def head(module, args, out):
        nonlocal marked
        row = torch.arange(len(out)) == 2 if len(out) > 2 else torch.zeros(len(out), dtype=torch.bool)
        marked += int(row.sum())
        return torch.where(row[:, None, None] & (torch.arange(out.shape[-1]) == 9), value, out)

    handle = lm.model.lm_head.register_forward_hook(head)
    try:
        answers = ours(lm, ids, temperature=temperature, budget=10_000)
    finally:
        handle.remove()
    assert marked
    # The longest come first, so the third row is the prompt of 21 tokens.
    assert str(answers[3]) == "the model failed on it: the logits of its answer are not finite"
    assert [a.response_ids.tolist() for i, a in enumerate(answers) if i != 3] == clean[:3] + clean[4:]
    assert isinstance(answers[3], Reason)
