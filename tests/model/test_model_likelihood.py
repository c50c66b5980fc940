"""Batched log-likelihoods equal one full pass per continuation."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from competency_gaps.items.item import Reason
from competency_gaps.model.batches import Attempts
from competency_gaps.model.hooks import read_hook, resolve_hook
from competency_gaps.model.likelihood import Continuation, likelihoods, tokenize_continuation
from competency_gaps.model.prefixes import Tap, shared_start
from competency_gaps.util.errors import UserError
from core_helpers import KINDS, loaded


def asked(vocabulary: int) -> list[Continuation]:
    """Prefixes and continuations of all lengths, among them letters of one question and a prefix of another's row."""
    rng = np.random.default_rng(0)
    made = []
    for prefix in (1, 3, 17, 60):
        ids = rng.integers(4, vocabulary, prefix).astype(np.int32)
        made += [Continuation(ids, rng.integers(4, vocabulary, n).astype(np.int32)) for n in (1, 1, 1, 1, 2, 5, 30)]
        made.append(Continuation(ids[:1], np.append(ids[1:], 7).astype(np.int32)))
    return made


def scored(lm, wanted, budget, advance=lambda n: None, **settings):
    return likelihoods(lm, wanted, budget, advance, attempts=Attempts(), **settings)


def naive(model, one: Continuation) -> float:
    ids = torch.from_numpy(np.concatenate([one.prefix, one.ids]).astype(np.int64))[None]
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0].double()
    total = 0.0
    for k, token in enumerate(one.ids):
        row = logits[len(one.prefix) + k - 1]
        total += float(row[int(token)] - torch.logsumexp(row, 0))
    return total


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_one_pass_each(kind, model_folder):
    lm = loaded(model_folder(kind))
    wanted = asked(lm.model.config.vocab_size)
    truth = [naive(lm.model, one) for one in wanted]
    for budget in (16, 200, 100_000):
        counted: list[int] = []
        found = scored(lm, wanted, budget, counted.append)
        assert [f.logprob for f in found] == pytest.approx(truth, abs=1e-4)
        assert [f.tokens for f in found] == [len(one.ids) for one in wanted]
        assert sum(counted) == len(wanted)
    assert len({round(t, 3) for t in truth}) > 20


@pytest.mark.parametrize(("kind", "fits"), [("llama", 200), ("llama", 70), ("gemma2", 70)])
def test_batches_that_are_halved_change_nothing(kind, fits, model_folder):
    """Memory runs out on prefixes or on what follows them, also where a pass has used up their keys and values."""
    lm = loaded(model_folder(kind))
    wanted = asked(lm.model.config.vocab_size)
    failed = []

    def embed(module, args):
        if args[0].numel() > fits:
            failed.append(args[0].shape)
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    handle = lm.model.get_input_embeddings().register_forward_pre_hook(embed)
    try:
        made = scored(lm, wanted, 100_000)
    finally:
        handle.remove()
    assert failed
    assert [likelihood.logprob for likelihood in made] == pytest.approx(
        [naive(lm.model, each) for each in wanted], abs=1e-4
    )


@contextmanager
def failing(lm, fails):
    """Passes fail whose tokens, int64 of shape (rows, longest), are such; yields the shapes of all passes."""
    shapes: list[tuple[int, ...]] = []

    def embed(module, args):
        shapes.append(tuple(args[0].shape))
        if error := fails(args[0]):
            raise error

    handle = lm.model.get_input_embeddings().register_forward_pre_hook(embed)
    try:
        yield shapes
    finally:
        handle.remove()


@pytest.mark.parametrize(("kind", "error"), [("llama", MemoryError), ("gemma2", ValueError)])
def test_a_failing_branch_costs_only_its_continuations(kind, error, model_folder):
    """Items that ask the same prefix share what is read: the option of one starts that of another, which fails."""
    lm = loaded(model_folder(kind))
    options = [[5, 6, 80, 7], [5, 6, 8], [9, 3], [5, 6], [5, 6, 80], [5, 6, 80, 7, 7]]
    wanted = [
        Continuation(np.arange(10, 20, dtype=np.int32), np.asarray(option, np.int32), asked=i)
        for i, option in enumerate(options)
    ]
    with failing(lm, lambda ids: error("no") if (ids == 80).any() else None):
        made = scored(lm, wanted, 10_000)
    # The last token is only predicted.
    assert [isinstance(each, Reason) for each in made] == [80 in option[:-1] for option in options]
    for each, continuation in zip(made, wanted, strict=True):
        if not isinstance(each, Reason):
            assert each.logprob == pytest.approx(naive(lm.model, continuation), abs=1e-4)


def test_a_continuation_whose_log_probabilities_are_nan_has_no_likelihood(model_folder):
    lm = loaded(model_folder("llama"))
    wanted = continuations([range(4, 20), range(30, 40)], [[5, 80, 7], [5, 6, 8], [9]])

    def spoil(module, args, kwargs, output):
        output.logits[(kwargs["input_ids"] == 80).any(dim=1)] = float("nan")

    handle = lm.model.register_forward_hook(spoil, with_kwargs=True)
    try:
        made = scored(lm, wanted, 10_000)
    finally:
        handle.remove()
    assert [isinstance(each, Reason) for each in made] == [True, False, False] * 2
    assert str(made[0]) == "the model failed on it: its log-probabilities are not numbers"


@contextmanager
def computed(lm):
    """Tokens that the passes in the body compute, padding too, a pass each."""
    tokens: list[int] = []
    handle = lm.model.model.register_forward_pre_hook(
        lambda m, args, kwargs: tokens.append((args[0] if args else kwargs["input_ids"]).numel()), with_kwargs=True
    )
    try:
        yield tokens
    finally:
        handle.remove()


def continuations(prefixes, options):
    return [Continuation(np.asarray(p, np.int32), np.asarray(o, np.int32)) for p in prefixes for o in options]


def test_what_texts_share_is_computed_once(model_folder):
    lm = loaded(model_folder("llama"))
    cases = {
        # Letters of a question: the questions alone, 15 tokens of which are one row's. One shows the cache's type.
        "letters": ([range(4, 20), range(4, 21)], [[5], [6], [7], [8]], 1 + 15 + 2 * 2),
        # Nothing in common: every token, and one of padding.
        "strangers": ([range(4, 20), range(5, 22)], [[5], [6]], 2 * 17),
        # Options that begin alike and differ in the last token: their beginning is read once.
        "numbers": ([range(4, 20), range(5, 21)], [[9, 3, 5], [9, 3, 6], [9, 3, 7]], 2 * (16 + 2)),
    }
    for name, (prefixes, options, expected) in cases.items():
        wanted = continuations(prefixes, options)
        with computed(lm) as tokens:
            found = scored(lm, wanted, 10_000)
        assert sum(tokens) == expected, (name, tokens)
        assert [f.logprob for f in found] == pytest.approx([naive(lm.model, one) for one in wanted], abs=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_shared_starts_change_nothing(kind, model_folder, data):
    """Prefixes with a common start of any length, of all lengths after it; options that begin alike or not at all."""
    lm = loaded(model_folder(kind))
    token = st.integers(4, lm.model.config.vocab_size - 1)
    start = data.draw(st.lists(token, min_size=1, max_size=30))
    ends = data.draw(st.lists(st.lists(token, min_size=1, max_size=12), min_size=2, max_size=5))
    few = st.integers(4, 6)  # few tokens, so that options begin alike
    options = st.lists(st.lists(few, min_size=1, max_size=6), min_size=1, max_size=4)
    wanted = [one for end in ends for one in continuations([start + end], data.draw(options))]
    truth = [naive(lm.model, one) for one in wanted]
    for budget in (16, 10_000):
        found = scored(lm, wanted, budget)
        assert [f.logprob for f in found] == pytest.approx(truth, abs=2e-4)
        assert [f.tokens for f in found] == [len(one.ids) for one in wanted]
        best = [greedy(lm.model, one) for one in wanted]
        assert [f.greedy for f in found] == best


def greedy(model, one: Continuation) -> bool:
    ids = torch.from_numpy(np.concatenate([one.prefix, one.ids]).astype(np.int64))[None]
    with torch.inference_mode():
        best = model(input_ids=ids).logits[0].argmax(dim=-1)
    return bool((best[len(one.prefix) - 1 : -1] == ids[0, len(one.prefix) :]).all())


@pytest.mark.parametrize("rope", [None, "longrope", "dynamic"])
def test_positions_that_depend_on_the_length_share_nothing(rope, model_folder):
    """With such positions, keys of a short start differ from those of the same tokens in a long text."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = {
        "longrope": {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "original_max_position_embeddings": 32},
        "dynamic": {"factor": 4.0, "original_max_position_embeddings": 32},
    }.get(rope, {})
    config = LlamaConfig(
        vocab_size=90,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        rope_parameters={"rope_type": rope or "default", "rope_theta": 100.0, **settings},
    )
    torch.manual_seed(0)
    lm = replace(loaded(model_folder("llama")), model=LlamaForCausalLM(config).eval())
    start = np.random.default_rng(0).integers(4, 90, 25)
    prefixes = [np.append(start, np.random.default_rng(n).integers(4, 90, 45)).astype(np.int32) for n in range(4)]
    wanted = continuations(prefixes, [[5, 6], [7, 8]])
    assert shared_start(lm, prefixes) == (0 if rope else 25)
    found = scored(lm, wanted, 10_000)
    assert [f.logprob for f in found] == pytest.approx([naive(lm.model, one) for one in wanted], abs=1e-3)


def test_models_without_keys_and_values(model_folder):
    """A recurrent model shares no start, and says what it cannot score."""
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=90, hidden_size=16, num_hidden_layers=2, state_size=4)
    lm = replace(loaded(model_folder("llama")), model=MambaForCausalLM(config).eval())
    prefixes = [np.arange(4, 30, dtype=np.int32), np.arange(4, 31, dtype=np.int32)]
    assert shared_start(lm, prefixes) == 0
    with pytest.raises(UserError, match="has no key-value cache"):
        scored(lm, continuations(prefixes[:1], [[5, 6], [7, 8]]), 10_000)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_activations_of_shared_starts(kind, model_folder):
    """Each prompt's activations, those of the shared tokens too, are the ones of a pass of its own."""
    lm = loaded(model_folder(kind))
    hook = resolve_hook(lm.model, "blocks.1.hook_resid_post")
    rng = np.random.default_rng(0)
    start = rng.integers(4, 90, 20)
    prompts = [np.append(start, rng.integers(4, 90, n)).astype(np.int32) for n in (1, 4, 40, 9)]

    tap = Tap(hook, prompts, lambda asked, activations: [x.clone() for x in activations])
    wanted = [
        Continuation(p, np.asarray(o, np.int32), asked=i) for i, p in enumerate(prompts) for o in ([5, 6], [5, 7])
    ]
    scored(lm, wanted, 10_000, tap=tap)
    assert sorted(tap.taken) == [0, 1, 2, 3]
    for i, prompt in enumerate(prompts):
        alone = read_hook(lm, hook, [prompt])[0]
        torch.testing.assert_close(tap.taken[i][: len(prompt)], alone, atol=2e-4, rtol=1e-3)


def test_continuation_tokens(tokenizer):
    def ids(text: str) -> np.ndarray:
        return np.asarray(tokenizer(text, add_special_tokens=False)["input_ids"], np.int32)

    # The usual border: the tokens are the rest of the whole text's.
    prompt = "The quick brown"
    made = tokenize_continuation(tokenizer, prompt, ids(prompt), " fox jumps", skip=0)
    assert made.tolist() == ids(prompt + " fox jumps")[len(ids(prompt)) :].tolist()
    assert tokenizer.decode(made) == " fox jumps"
    # The first token stands for no text.
    with_bos = np.append(np.int32(0), ids(prompt)).astype(np.int32)
    assert tokenize_continuation(tokenizer, prompt, with_bos, " fox jumps", skip=1).tolist() == made.tolist()
    # A border inside a token: the prompt's tokens stay, the continuation is tokenised by itself.
    prompt, text = "The quick br", "own fox"
    assert ids(prompt + text)[: len(ids(prompt))].tolist() != ids(prompt).tolist()
    made = tokenize_continuation(tokenizer, prompt, ids(prompt), text, skip=0)
    assert made.tolist() == ids(text).tolist() and tokenizer.decode([*ids(prompt), *made]) == prompt + text
    # A border inside a character of several bytes.
    prompt, text = "A 🦊", "🐶"
    made = tokenize_continuation(tokenizer, prompt, ids(prompt), text, skip=0)
    assert tokenizer.decode([*ids(prompt), *made]) == prompt + text
    with pytest.raises(UserError, match="has no tokens"):
        tokenize_continuation(tokenizer, "A", ids("A"), "", skip=0)


def test_nothing_after_the_prefix(model_folder):
    """A sentence of one token without a first token has no token whose likelihood is defined: 0 over 0 tokens."""
    lm = loaded(model_folder("llama"))
    prefix = np.arange(4, 9, dtype=np.int32)
    wanted = [Continuation(prefix, np.zeros(0, np.int32)), Continuation(prefix, np.asarray([5, 6], np.int32))]
    found = scored(lm, wanted, 500)
    assert (found[0].logprob, found[0].tokens) == (0.0, 0)
    assert found[1].logprob == pytest.approx(naive(lm.model, wanted[1]), abs=1e-4)
