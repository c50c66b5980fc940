"""Estimates against sums by hand, and the meter against a brute-force ledger."""

from __future__ import annotations

import random

import pytest
from endpoint_helpers import request

from competency_gaps.endpoint import Answer, AnswerStore, Cap, Prices, Request, estimate
from competency_gaps.endpoint.budget import Meter, Use, prompt_bound, prompt_guess


def plain(number: int, user: str) -> Request:
    return Request(f"r{number}", "abc", user, None, "label", 100)


def test_estimate_by_hand(tmp_path):
    store = AnswerStore(tmp_path / "a.jsonl")
    requests = [plain(i, "x" * (30 * i)) for i in range(5)] + [plain(9, "x" * 120)]  # the last equals number 4
    store.add(Answer("r1", requests[1].key("m"), "done", None, None, 1, 1, None))
    found = estimate(iter(requests), "m", store, Prices(3.0, 15.0))
    # Characters: 3 of the system message and 0, 60, 90, 120 of the user's, for the four to ask.
    assert (found.requests, found.already_answered) == (6, 2)
    assert found.prompt_tokens == (3 + 63 + 93 + 123) // 3 + 4 * 40
    assert found.completion_tokens == 400
    assert found.cost == pytest.approx((found.prompt_tokens * 3 + 400 * 15) / 1e6)
    assert found.sentence() == (
        "4 requests to ask (2 of 6 need not be asked): about 254 prompt tokens or fewer (guessed from above as "
        "characters / 3), at most 400 answer tokens; at most about 0.0068."
    )
    assert "\n" not in found.sentence()


def test_without_prices_there_is_no_cost_and_all_answered_is_said(tmp_path):
    store = AnswerStore(tmp_path / "a.jsonl")
    assert estimate([plain(1, "x")], "m").cost is None
    assert "1 request to ask: " in estimate([plain(1, "x")], "m").sentence()
    assert "cost unknown" in estimate([plain(1, "x")], "m").sentence()
    store.add(Answer("r1", plain(1, "x").key("m"), None, "no", None, 1, 1, None))
    found = estimate([plain(1, "x")], "m", store, Prices(1.0, 1.0))
    assert (found.prompt_tokens, found.completion_tokens, found.cost) == (0, 0, 0.0)
    assert found.sentence().startswith("All 1 requests") or "nothing is asked" in found.sentence()
    assert estimate([plain(1, "x")], "another model", store).already_answered == 0


def test_the_bound_holds_where_the_guess_may_not():
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import models, pre_tokenizers

    # The worst byte-level tokenizer: no merges, one token a byte.
    alphabet = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    worst = tokenizers.Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    worst.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in ("plain words " * 50, "漢字かな交じり" * 80, "🦊👩‍👩‍👧" * 80):
        body = plain(1, text).body("m", "json_schema")
        tokens = len(worst.encode(text).ids) + 3
        assert tokens + 100 <= prompt_bound(body) <= tokens + 200  # a template's tokens come on top
    assert prompt_guess(plain(1, "🦊" * 300).body("m", "none")) < 300 * 4


def test_schemas_are_counted():
    with_schema, without = request(1).body("m", "json_schema"), plain(1, "question 1").body("m", "json_schema")
    assert prompt_guess(with_schema) > prompt_guess(without) + 30
    assert prompt_bound(with_schema) > prompt_bound(without) + 100


@pytest.mark.parametrize("seed", range(5))
def test_meter_against_a_ledger(seed):
    draw = random.Random(seed)
    prices, cap = Prices(0.3, 0.7), Cap(max_tokens=5_000, max_cost=2_400 / 1e6)
    meter = Meter(cap, prices)
    flying: list[tuple[Use, Use]] = []
    spent: list[Use] = []
    refused = 0
    for _ in range(2_000):
        if flying and draw.random() < 0.5:
            bound, used = flying.pop(draw.randrange(len(flying)))
            meter.settle(bound, used)
            spent.append(used)
        bound = Use(draw.randrange(200), draw.randrange(1, 200))
        all_bounds = [*spent, *(one for one, _ in flying), bound]
        prompt, completion = sum(one.prompt for one in all_bounds), sum(one.completion for one in all_bounds)
        fits = prompt + completion <= 5_000 and 0.3 * prompt + 0.7 * completion <= 2_400 + 1e-9
        assert meter.reserve(bound) == fits
        if fits:
            flying.append((bound, Use(draw.randrange(bound.prompt + 1), draw.randrange(bound.completion + 1))))
        refused += not fits
        assert meter.idle == (not flying)
        assert sum(meter.used) == sum(map(sum, spent)) <= 5_000
    assert refused > 100
