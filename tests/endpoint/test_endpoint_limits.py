"""The cap is never overrun, the key is shown nowhere, and settings are checked."""

from __future__ import annotations

import logging
import sys
import traceback

import pytest
from endpoint_helpers import heard, question, quick, request

from competency_gaps.endpoint import AnswerStore, Cap, Endpoint, Prices, ask
from competency_gaps.endpoint.budget import Use
from competency_gaps.errors import MissingExtraError, UserError
from fake_endpoint import serve, usage_of

KEY = "sk-secret/0123456789abcdef"


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store; the tests' own environment holds no key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return AnswerStore(tmp_path / "answers.jsonl")


@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize("cap", [Cap(max_tokens=3_000), Cap(max_cost=0.05)])
def test_the_cap_is_never_overrun(store, cap, faulty):
    prices = Prices(2.0, 40.0)
    billed = [0, 0]

    def plan(body, attempt):
        fault = faulty and attempt == 0 and question(body) % 3 == 0
        # An answer that is lost on the way is billed all the same.
        use = {"prompt_tokens": len(str(body)) // 3, "completion_tokens": body["max_tokens"]}
        billed[0] += use["prompt_tokens"]
        billed[1] += use["completion_tokens"]
        return "cut body" if fault else ("message", {"content": f"{question(body)}"}, "stop", use)

    with serve(plan, delay=0.005) as fake:
        progress, said = heard()
        requests = [request(i, max_tokens=50) for i in range(100)]
        answers = ask(requests, quick(fake.url, prices=prices), store, cap, progress)
        tokens, cost = sum(billed), prices.cost(*billed)
        assert tokens <= (cap.max_tokens or tokens) and cost <= (cap.max_cost or cost)
        # … and without losses it is used up but for less than one request's upper bound (some 400 bytes + 200, and 50).
        most = Use(650, 50)
        if not faulty:
            assert tokens > 3_000 - sum(most) if cap.max_tokens else cost > 0.05 - prices.cost(*most)
        assert 0 < len(answers) < 100 and len(answers) == len(store) == fake.paid.total()
        assert f"{100 - len(answers)} requests of 100 left" in said.getvalue()
        # Going on pays for the rest only.
        rest = ask(requests, quick(fake.url), AnswerStore(store.path), None, progress)
        assert len(rest) == 100 and fake.paid == {f"question {i}": 1 for i in range(100)}


def test_a_cap_without_usage_counts_upper_bounds(store):
    with serve(lambda body, attempt: ("message", {"content": "x"}, "stop", None)) as fake:
        ask([request(i, max_tokens=400) for i in range(50)], quick(fake.url), store, Cap(max_tokens=5_000), heard()[0])
        assert 1 <= fake.paid.total() <= 5_000 // 400
        billed = sum(sum(usage_of(body).values()) for body in fake.bodies)
        assert billed < 5_000


def test_the_key_is_sent_and_shown_nowhere(store, monkeypatch, caplog, capsys, tmp_path):
    monkeypatch.setenv("MY_KEY", KEY + "\n")
    caplog.set_level(logging.DEBUG)
    shown = []

    def plan(body, attempt):
        number = question(body)
        echo = f"you sent Bearer {KEY}"
        if number == 0:
            return ("message", {"content": f'{{"label": "{echo}"}}', "refusal": None}, "stop", None)
        if number == 1:
            return ("message", {"content": None, "refusal": echo}, echo, None)
        if number in (2, 3):
            return ("status", 500 if number == 2 else 400, {"error": {"message": "x" * 270 + echo}})
        if number == 4:
            return ("status", 200, {"error": {"message": echo}})
        return ("status", 401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}) if number == 9 else "ok"

    with serve(plan) as fake:
        endpoint = quick(fake.url, key_env="MY_KEY", retries=1)
        progress, said = heard()
        answers = ask([request(i) for i in range(6)], endpoint, store, None, progress)
        with pytest.raises(UserError) as caught:
            ask([request(9)], endpoint, store, None, progress)
        assert fake.keys == {f"Bearer {KEY}"}
        assert "[API key]" in answers["r0"].text and "[API key]" in str(caught.value) and "MY_KEY" in str(caught.value)
        shown += [repr(answers), repr(endpoint), said.getvalue(), caplog.text, *capsys.readouterr()]
        shown += ["".join(traceback.format_exception(caught.value)), store.path.read_text(encoding="utf-8")]
    for text in shown:
        assert KEY not in text and KEY[:12] not in text


def test_keys_that_cannot_be_are_refused_without_being_shown(store, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-abc def\u00e9")
    with pytest.raises(UserError, match="MY_KEY holds") as caught:
        ask([request(1)], quick("http://127.0.0.1:9/v1", key_env="MY_KEY"), store, None, heard()[0])
    assert "sk-abc" not in str(caught.value)
    for settings, word in [
        ({"key_env": "sk-abc"}, "sk-abc"),
        ({"base_url": "http://me:sk-abc@host/v1"}, "sk-abc"),
        ({"base_url": "http://host/v1?key=sk-abc"}, "sk-abc"),
    ]:
        with pytest.raises(UserError) as caught:
            Endpoint(**{"base_url": "http://host/v1", "model": "m", **settings})
        assert word not in str(caught.value) and "expected" in str(caught.value)


@pytest.mark.parametrize("value", ["", "   "])
def test_a_local_server_needs_no_key(store, monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with serve() as fake:
        assert ask([request(1)], quick(fake.url), store, None, heard()[0])["r1"].text
        assert fake.keys == {"Bearer no-key"}


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "localhost:8080"},
        {"base_url": "ftp://x/v1"},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(UserError, match="expected"):
        Endpoint(**{"base_url": "http://host/v1", "model": "m", **settings})


def test_without_the_package_the_extra_is_named(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[label\]"):
        ask([request(1)], quick("http://127.0.0.1:9/v1"), store, None, heard()[0])
    assert not store.path.exists()
