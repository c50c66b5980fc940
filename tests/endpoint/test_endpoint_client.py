"""A misbehaving endpoint: nothing is lost, and nothing paid twice."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from email.utils import formatdate

import pytest
from endpoint_helpers import heard, question, quick, request

from competency_gaps.endpoint import Answer, AnswerStore, Cap, ask
from competency_gaps.endpoint.budget import prompt_bound
from competency_gaps.errors import UserError
from core_helpers import ROOT
from fake_endpoint import serve


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    """The tests' own environment holds no key."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return AnswerStore(tmp_path / "answers.jsonl")


def test_every_kind_of_fault_ends_in_exactly_one_paid_answer(store, tmp_path):
    faults = {
        1: ("status", 429, {"error": {"message": "slow down"}}, {"Retry-After": "0.05"}),
        2: ("status", 500, {"error": {"message": "oops"}}),
        3: "slow",
        4: "cut body",
        5: "cut chunked",
        6: "drop",
        7: ("status", 503, "not json at all"),
        8: ("status", 408, {}),
        9: ("status", 409, {"detail": "lock"}),
        10: ("status", 200, {"error": {"message": "upstream"}}),
        11: ("status", 200, ["no", "completion"]),
        12: ("status", 529, None),
    }
    with serve(lambda body, attempt: faults.get(question(body), "ok") if attempt < 2 else "ok") as fake:
        progress, said = heard()
        answers = ask([request(i) for i in range(40)], quick(fake.url, timeout=1.2), store, None, progress)
        assert sorted(answers) == sorted(f"r{i}" for i in range(40))
        for i in range(40):
            assert answers[f"r{i}"].text == f'{{"label": "answer to question {i}"}}'
            assert answers[f"r{i}"].error is None and answers[f"r{i}"].model == "fake-0"
        assert fake.paid == {f"question {i}": 1 for i in range(40)}
        assert fake.attempts == {f"question {i}": 3 if i in faults else 1 for i in range(40)}
        # A second run over the reopened store asks nothing.
        again = ask([request(i) for i in range(40)], quick(fake.url), AnswerStore(store.path), None, progress)
        assert again == answers and fake.paid.total() == 40 and "no answer" not in said.getvalue()


def test_what_fails_for_good_is_an_error_and_asked_again_next_time(store):
    broken = True

    def plan(body, attempt):
        return ("status", 500, {"error": {"message": "<b>\x1b[31mdown"}}) if broken and question(body) == 3 else "ok"

    with serve(plan) as fake:
        progress, said = heard()
        answers = ask([request(i) for i in range(6)], quick(fake.url, retries=2), store, None, progress)
        assert answers["r3"].error == "status 500: <b><U+001B>[31mdown (3 attempts)" and answers["r3"].text is None
        assert fake.attempts["question 3"] == 3 and fake.paid.total() == 5 and len(store) == 5
        assert "1 request got no answer" in said.getvalue() and "\x1b[31mdown" not in said.getvalue()
        broken = False
        answers = ask([request(i) for i in range(6)], quick(fake.url), store, None, progress)
        assert all(answer.error is None for answer in answers.values()) and fake.paid.total() == 6


def test_odd_requests_fail_alone_and_are_not_repeated(store):
    with serve(
        lambda body, attempt: (
            ("status", 400, {"error": {"message": "context length exceeded; reduce max_tokens"}})
            if question(body) == 1
            else "ok"
        )
    ) as fake:
        answers = ask([request(i) for i in range(4)], quick(fake.url), store, None, heard()[0])
        assert "context length" in answers["r1"].error and fake.attempts["question 1"] == 1
        assert all("response_format" in body for body in fake.bodies) and len(store) == 3


@pytest.mark.parametrize(
    "headers, low",
    [({"Retry-After": "0.8"}, 0.8), ({"retry-after-ms": "600"}, 0.6), ({"Retry-After": "DATE"}, 0.9)],
)
def test_retry_after_holds_every_request_back(store, headers, low):
    def plan(body, attempt):
        if question(body) == 0 and attempt == 0:
            value = formatdate(time.time() + 2.0, usegmt=True)
            return ("status", 429, {}, {name: text.replace("DATE", value) for name, text in headers.items()})
        return "ok"

    with serve(plan, delay=0.03) as fake:
        ask([request(i) for i in range(60)], quick(fake.url, concurrency=2), store, None, heard()[0])
        first, again = (at for asked, at in fake.times if asked == "question 0")
        assert again - first >= low
        # The first half of the wait is left to a busy machine that reads the refusal late; unheld, the other worker
        # would send a request every 0.03 s.
        assert not [asked for asked, at in fake.times if first + low / 2 < at < first + low]
        assert len(fake.times) == 61


def test_a_wait_that_is_too_long_ends_the_run(store):
    with serve(lambda body, attempt: ("status", 429, {"error": "daily limit"}, {"Retry-After": "99999"})) as fake:
        with pytest.raises(UserError, match=r"asks to wait 99,999 s .*daily limit"):
            ask([request(i) for i in range(50)], quick(fake.url, concurrency=2), store, None, heard()[0])
        assert fake.attempts.total() <= 2


@pytest.mark.parametrize(
    "code, body, words",
    [
        (401, {"error": {"message": "Incorrect API key"}}, "refuses the key .*OPENAI_API_KEY, which is not set"),
        (403, {"error": {"message": "no"}}, "forbids .*'fake'"),
        (404, {"error": {"message": "no such model"}}, "no such address or model .*base_url"),
        (402, {"error": {"message": "credits"}}, "be paid"),
        (429, {"error": {"code": "insufficient_quota", "message": "plan"}}, "quota"),
    ],
)
def test_refused_keys_stop_the_run_at_once_and_what_was_paid_is_kept(store, code, body, words):
    def plan(asked, attempt):
        if question(asked) == 5:
            return ("status", code, body)
        time.sleep(0.2 if question(asked) in (4, 6) else 0)  # in flight while the run is stopped
        return "ok"

    with serve(plan) as fake:
        with pytest.raises(UserError, match=words):
            ask([request(i) for i in range(200)], quick(fake.url, concurrency=3), store, None, heard()[0])
        assert fake.attempts.total() < 12 and fake.attempts["question 5"] == 1
        assert len(store) == len(AnswerStore(store.path)) == fake.paid.total() and max(fake.paid.values()) == 1


def test_an_unreachable_endpoint_is_reported_at_once(store):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(UserError, match=rf"127.0.0.1:{port}/v1 cannot be reached: no connection .*Start it"):
        ask([request(i) for i in range(500)], quick(f"http://127.0.0.1:{port}/v1", retries=2), store, None, heard()[0])
    assert time.monotonic() - start < 5


def test_one_request_to_nobody_is_an_error_of_the_run_too(store):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(UserError, match="cannot be reached"):
        ask([request(1)], quick(url, retries=0), store, None, heard()[0])


def test_an_answer_that_drips_in_is_bounded_in_all(store):
    with serve(lambda body, attempt: "drip" if question(body) == 1 else "ok") as fake:
        start = time.monotonic()
        answers = ask([request(i) for i in range(3)], quick(fake.url, timeout=1.0, retries=0), store, None, heard()[0])
        assert time.monotonic() - start < 2.5 and "no answer within 1 s" in answers["r1"].error
        assert fake.paid.total() == 2


def test_a_server_that_answers_only_one_at_a_time_is_sent_fewer_at_once(store):
    turn = threading.Lock()

    def in_turn(body, attempt):
        with turn:
            time.sleep(0.2)
        return "ok"

    progress, said = heard()
    with serve(in_turn) as fake:
        answers = ask([request(i) for i in range(16)], quick(fake.url, timeout=0.6, retries=3), store, None, progress)
    assert all(answer.error is None for answer in answers.values())
    assert "no answer within 0.6 s when 8 requests wait at once: from now on 4 are sent at a time" in said.getvalue()


def test_a_server_that_is_too_slow_for_a_single_request_wants_more_time(store):
    progress, said = heard()
    with serve(lambda body, attempt: "slow") as fake:
        ask(
            [request(i) for i in range(2)],
            quick(fake.url, timeout=0.1, retries=1, concurrency=1),
            store,
            None,
            progress,
        )
    assert said.getvalue().count("though one request is sent at a time: it needs a longer") == 1


def test_a_straggler_among_many_changes_nothing(store):
    progress, said = heard()
    with serve(lambda body, attempt: "slow" if question(body) % 20 == 0 and not attempt else "ok") as fake:
        ask([request(i) for i in range(60)], quick(fake.url, timeout=0.5), store, None, progress)
    assert "at a time" not in said.getvalue() and fake.attempts["question 20"] == 2


def test_two_runs_on_one_store_do_not_pay_twice(store):
    with serve() as fake, AnswerStore(store.path).writing():
        with pytest.raises(UserError, match="another process is writing"):
            ask([request(i) for i in range(3)], quick(fake.url), store, None, heard()[0])
        assert fake.attempts.total() == 0


def test_structured_output_falls_back_and_says_so_once(store):
    def plan(body, attempt):
        kind = body.get("response_format", {}).get("type")
        if kind == "json_schema":
            return ("status", 400, {"error": {"message": "'response_format.type' must be 'json_object'"}})
        if kind == "json_object":
            return ("status", 422, {"detail": [{"loc": ["body", "response_format"], "msg": "extra"}]})
        return "ok"

    with serve(plan, delay=0.02) as fake:
        progress, said = heard()
        answers = ask([request(i) for i in range(40)], quick(fake.url, retries=0), store, None, progress)
        assert all(answer.text for answer in answers.values()) and fake.paid == {f"question {i}": 1 for i in range(40)}
        assert said.getvalue().count("does not take json_schema") == 1
        assert said.getvalue().count("does not take json_object") == 1
        asked = [body.get("response_format", {}).get("type") for body in fake.bodies]
        assert asked.count("json_schema") <= 8 and asked.count("json_object") <= 8 and asked.count(None) == 40
        last = fake.bodies[-1]["messages"][-1]["content"]
        assert last.startswith("question ") and '"additionalProperties": false' in last
        # Answers are the same requests' whatever the way: nothing is asked again by schema.
        ask([request(i) for i in range(40)], quick(fake.url), store, None, progress)
        assert fake.paid.total() == 40


def test_a_validator_behind_status_500_is_a_complaint_about_the_form(store):
    def plan(body, attempt):
        if body.get("response_format", {}).get("type") == "json_schema":
            told = (
                "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': 'Input should be ...'}]"
            )
            return ("status", 500, {"error": {"message": f"1 validation error: {told}", "type": "internal"}})
        return "ok"

    with serve(plan) as fake:
        progress, said = heard()
        answers = ask([request(i) for i in range(4)], quick(fake.url, retries=0), store, None, progress)
        assert all(answer.text for answer in answers.values()) and "does not take json_schema" in said.getvalue()
        assert fake.bodies[-1]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("code, counted", [(408, True), (502, True), (504, True), (524, True), (503, False)])
def test_a_gateway_that_gave_up_may_be_paid_and_counts_against_the_cap(store, code, counted):
    with serve(lambda body, attempt: ("status", code, {}) if attempt == 0 else "ok") as fake:
        bound = prompt_bound(request(1).body("fake", "json_schema")) + request(1).max_tokens
        progress, said = heard()
        answers = ask([request(1)], quick(fake.url), store, Cap(bound), progress)
        # The cap has room for one attempt at its bound: a second one fits only if the first counts nothing.
        assert ("r1" in answers) == (not counted) and ("cap is reached" in said.getvalue()) == counted


def test_a_forgotten_answer_is_asked_once_more_and_the_last_one_counts(store):
    with serve(lambda body, attempt: ("message", {"content": "x" if attempt == 0 else "y"}, "stop", None)) as fake:
        ask([request(1), request(2)], quick(fake.url), store, None, heard()[0])
        store.forget(request(1).key("fake"))
        found = ask([request(1), request(2)], quick(fake.url), store, None, heard()[0])
        assert (found["r1"].text, found["r2"].text) == ("y", "x") and fake.paid.total() == 3
        assert AnswerStore(store.path).get(request(1).key("fake")).text == "y"


def test_newer_models_names_are_learnt(store):
    def plan(body, attempt):
        if "max_tokens" in body:
            return (
                "status",
                400,
                {"error": {"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'"}},
            )
        if "temperature" in body:
            return (
                "status",
                400,
                {"error": {"message": "Unsupported value: 'temperature' does not support 0", "param": "temperature"}},
            )
        return "ok"

    with serve(plan) as fake:
        answers = ask([request(i) for i in range(10)], quick(fake.url, retries=0), store, None, heard()[0])
        assert all(answer.text for answer in answers.values()) and fake.bodies[-1]["max_completion_tokens"] == 20


def test_refusals_empty_answers_and_odd_contents(store):
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    messages = {
        0: ("message", {"content": None, "refusal": "I will not"}, "stop", usage),
        1: ("message", {"content": None}, "content_filter", usage),
        2: ("message", {"content": None}, "length", usage),
        3: ("message", {"content": '{"label": "cut'}, "length", {"prompt_tokens": -1, "completion_tokens": "many"}),
        4: ("message", {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "stop", None),
        5: ("message", {"content": "line\u2028sep \ud800 \x00"}, "stop", usage),
    }
    with serve(lambda body, attempt: messages[question(body)]) as fake:
        answers = ask([request(i) for i in range(6)], quick(fake.url), store, None, heard()[0])
        assert (answers["r0"].refusal, answers["r0"].text) == ("I will not", None)
        assert answers["r1"].refusal == "content_filter"
        assert (answers["r2"].text, answers["r2"].finish, answers["r2"].completion_tokens) == ("", "length", 4)
        assert (answers["r3"].prompt_tokens, answers["r3"].completion_tokens) == (None, None)
        assert answers["r4"].text == "ab" and answers["r5"].text == "line\u2028sep \ufffd \x00"
        assert (
            ask([request(i) for i in range(6)], quick(fake.url), AnswerStore(store.path), None, heard()[0]) == answers
        )
        assert fake.paid.total() == 6


def test_equal_requests_are_paid_once_and_ids_are_checked(store):
    with serve(delay=0.01) as fake:
        asked = [request(0, user=f"question {i % 3}", id=f"r{i}") for i in range(30)]
        answers = ask(asked, quick(fake.url), store, None, heard()[0])
        assert [answers[f"r{i}"].id for i in range(30)] == [f"r{i}" for i in range(30)]
        assert all(f"question {i % 3}" in answers[f"r{i}"].text for i in range(30))
        assert fake.paid == {"question 0": 1, "question 1": 1, "question 2": 1}
        with pytest.raises(UserError, match="share the id 'same'"):
            ask([request(8, id="same"), request(9, id="same")], quick(fake.url), store, None, heard()[0])


class Lazy(Collection):
    """Requests made only when taken, which counts how far ahead of the answers they are taken."""

    def __init__(self, count, fake):
        self.count, self.fake, self.ahead = count, fake, 0

    def __len__(self):
        return self.count

    def __contains__(self, item):
        return False

    def __iter__(self):
        for i in range(self.count):
            self.ahead = max(self.ahead, i - self.fake.paid.total(), len(asyncio.all_tasks()))
            yield request(i)


def test_requests_are_taken_a_few_at_a_time(store):
    with serve(delay=0.005) as fake:
        lazy = Lazy(300, fake)
        ask(lazy, quick(fake.url, concurrency=6), store, None, heard()[0])
        assert fake.paid.total() == 300 and 2 <= fake.most_busy <= 6
        assert lazy.ahead <= 8


def test_inside_a_running_loop(store):
    async def notebook() -> dict[str, Answer]:
        return ask([request(i) for i in range(5)], quick(fake.url), store, None, heard()[0])

    with serve() as fake:
        assert len(asyncio.run(notebook())) == 5


NOTEBOOK = """
import asyncio, os, signal, threading
from types import SimpleNamespace

import polars as pl

from competency_gaps.endpoint.client import _drive

halted = threading.Event()

async def requests():
    for _ in range(300):
        if halted.is_set():
            print("halted")
            return
        await asyncio.sleep(0.1)

async def cell():
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    _drive(SimpleNamespace(run=requests, halt_from_outside=halted.set))

pl.DataFrame({"number": [1]}).lazy().collect()  # its handler of Ctrl-C stands before Python's
try:
    asyncio.new_event_loop().run_until_complete(cell())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")
def test_ctrl_c_in_a_notebook_stops_asking():
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", NOTEBOOK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.stdout.split("\n")[:-1] == ["halted", "interrupted"], done.stderr
