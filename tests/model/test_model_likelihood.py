"""Batched log-likelihoods equal one full pass per continuation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from competency_gaps.errors import UserError
from competency_gaps.model.likelihood import Continuation, likelihoods, tokenize_continuation
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
        found = likelihoods(lm, wanted, budget, counted.append)
        assert [f.logprob for f in found] == pytest.approx(truth, abs=1e-4)
        assert [f.tokens for f in found] == [len(one.ids) for one in wanted]
        assert sum(counted) == len(wanted)
    assert len({round(t, 3) for t in truth}) > 20


def test_order_and_company_change_nothing(model_folder):
    lm = loaded(model_folder("llama"))
    wanted = asked(lm.model.config.vocab_size)
    whole = likelihoods(lm, wanted, 500, lambda n: None)
    shuffled = np.random.default_rng(1).permutation(len(wanted))
    again = likelihoods(lm, [wanted[i] for i in shuffled], 500, lambda n: None)
    alone = [likelihoods(lm, [one], 500, lambda n: None)[0] for one in wanted]
    assert [again[k].logprob for k in np.argsort(shuffled)] == pytest.approx([w.logprob for w in whole], abs=1e-4)
    assert [a.logprob for a in alone] == pytest.approx([w.logprob for w in whole], abs=1e-4)
    assert likelihoods(lm, [], 500, lambda n: None) == []


def test_letters_of_a_question_share_a_row(model_folder):
    lm = loaded(model_folder("llama"))
    rows: list[int] = []
    handle = lm.model.model.register_forward_pre_hook(
        lambda m, args, kwargs: rows.append((args[0] if args else kwargs["input_ids"]).shape[0]), with_kwargs=True
    )
    try:
        questions = [np.arange(4, 20, dtype=np.int32), np.arange(4, 21, dtype=np.int32)]
        letters = [Continuation(q, np.asarray([t], np.int32)) for q in questions for t in (5, 6, 7, 8)]
        likelihoods(lm, letters, 10_000, lambda n: None)
        assert sum(rows) == 2
    finally:
        handle.remove()


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
    found = likelihoods(lm, wanted, 500, lambda n: None)
    assert (found[0].logprob, found[0].tokens) == (0.0, 0)
    assert found[1].logprob == pytest.approx(naive(lm.model, wanted[1]), abs=1e-4)
