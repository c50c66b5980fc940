"""Asking a language model: an endpoint that misbehaves, answers on disk, and reading an answer."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydantic
import pytest
from rich.console import Console

from competency_gaps.items.config import LLMConfig, parse_config, read_yaml
from competency_gaps.scoring import llm
from competency_gaps.scoring.answer_json import Failure, after_thinking, parse
from competency_gaps.scoring.llm import AnswerStore, LLMAnswer, LLMRequest, ask
from competency_gaps.util.errors import MachineError, MissingExtraError, UserError
from competency_gaps.util.progress import Progress
from core_helpers import held_elsewhere
from fake_endpoint import question_of, serve

QUIET = Progress(quiet=True)
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def request(number: int, user: str | None = None) -> LLMRequest:
    return LLMRequest(f"r{number}", "You label.", user or f"question {number}", SCHEMA, "label", 20)


def number_of(body) -> int:
    return int(question_of(body).split()[-1])


def at(url: str, **settings) -> LLMConfig:
    return LLMConfig(**{"base_url": url, "model": "m", "retries": 3, "timeout": 5, **settings})


def heard() -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    return Progress(Console(file=text, width=400)), text


def asked(count: int, config: LLMConfig, folder: Path, **options) -> dict[str, LLMAnswer]:
    return ask([request(i) for i in range(count)], config, folder, options.pop("progress", QUIET), **options)


def test_faults_end_in_one_paid_answer_each(tmp_path):
    faults = {
        0: ("status", 429, {"error": {"message": "slow down"}}),
        1: ("status", 500, {"error": {"message": "oops"}}),
        2: "cut body",
        3: "drop",
        4: ("status", 503, {"detail": "later"}),
    }
    with serve(lambda body, attempt: faults.get(number_of(body), "ok") if attempt < 2 else "ok") as fake:
        answers = asked(20, at(fake.url), tmp_path)
        assert len(answers) == 20 and all(
            answers[f"r{i}"].text == f'{{"label": "answer to question {i}"}}' for i in range(20)
        )
        assert set(fake.paid.values()) == {1} and fake.most_busy <= 8
        assert asked(20, at(fake.url), tmp_path) == answers and fake.paid.total() == 20, "kept, not asked again"


def test_requests_that_fail_alone_are_errors_and_asked_again(tmp_path):
    refused = ("status", 400, {"error": {"message": "too \x1b[31mlong"}})
    faults = {2: "half a completion", 3: refused}
    with serve(lambda body, attempt: faults.get(number_of(body), "ok") if attempt == 0 else "ok") as fake:
        progress, said = heard()
        answers = asked(5, at(fake.url), tmp_path, progress=progress)
        assert (
            "too" in answers["r3"].error
            and "\x1b" not in answers["r3"].error
            and "2 requests got no answer" in said.getvalue()
        )
        assert fake.attempts["question 3"] == 1, "a refusal is not repeated"
        assert "no chat completion" in answers["r2"].error
        again = asked(5, at(fake.url), tmp_path)
        assert not any(answer.error for answer in again.values()) and fake.paid.total() == 5


@pytest.mark.parametrize(
    ("code", "body", "headers"),
    [
        (401, {"error": {"message": f"bad key {KEY}"}}, {}),
        (404, {"error": {"message": "no such model"}}, {}),
        (302, {}, {"Location": "http://127.0.0.1:1/v1"}),
        (429, {"error": {"code": "insufficient_quota"}}, {"x-should-retry": "false"}),
    ],
)
def test_what_concerns_all_requests_ends_at_once(tmp_path, code, body, headers):
    with serve(lambda asked_body, attempt: ("status", code, body, headers)) as fake:
        with pytest.raises(UserError, match=r"refuses .*the key in OPENAI_API_KEY, which is set") as refused:
            asked(200, at(fake.url), tmp_path)
        assert KEY not in str(refused.value) and fake.attempts.total() <= 24


def test_an_endpoint_that_answers_nothing_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/v1 gives no answers: .*refused"):
        asked(30, at("http://127.0.0.1:1/v1", retries=1), tmp_path)
    faults = (
        (("status", 400, {"error": {"message": "no response_format"}}), r"no response_format.*see structured"),
        (("status", 429, {"error": {"message": "tomorrow"}}, {"Retry-After": "86400"}), "tomorrow"),
    )
    for fault, message in faults:
        with serve(lambda body, attempt, fault=fault: fault) as fake:
            with pytest.raises(UserError, match=message):
                asked(200, at(fake.url), tmp_path)
            assert fake.attempts.total() <= 24


def test_unusable_answers_are_asked_again_and_the_last_one_counts(tmp_path):
    texts = iter(("?", '{"label": "x"}'))

    def usable(answer: LLMAnswer) -> bool:
        return answer.text != "?"

    with serve(lambda body, attempt: ("message", {"content": next(texts)}, "stop", None)) as fake:
        assert asked(1, at(fake.url), tmp_path, usable=usable)["r0"].text == "?"
        assert asked(1, at(fake.url), tmp_path, usable=usable)["r0"].text == '{"label": "x"}'
        assert asked(1, at(fake.url), tmp_path, usable=usable)["r0"].text == '{"label": "x"}'
    assert asked(1, LLMConfig(model="m"), tmp_path)["r0"].text == '{"label": "x"}', "without an endpoint, what is kept"
    assert asked(1, LLMConfig(model="other"), tmp_path) == {}


def test_equal_questions_are_paid_once(tmp_path):
    with serve() as fake:
        answers = ask(
            [request(0), LLMRequest("twin", "You label.", "question 0", SCHEMA, "label", 9)],
            at(fake.url),
            tmp_path,
            QUIET,
        )
        assert answers["r0"].text == answers["twin"].text and fake.paid.total() == 1


def test_max_cost_ends_asking_and_the_next_command_goes_on(tmp_path):
    with serve() as fake:
        progress, said = heard()
        config = at(fake.url, price_in=1e4, price_out=1e4, max_cost=5.0, concurrency=1)
        first = asked(30, config, tmp_path, progress=progress)
        assert 0 < len(first) < 30 and "max_cost is reached" in said.getvalue() and "at most about" in said.getvalue()
        assert len(asked(30, at(fake.url), tmp_path)) == 30 and set(fake.paid.values()) == {1}


def test_max_cost_holds_where_no_usage_is_reported(tmp_path):
    with serve(lambda body, attempt: ("message", {"content": "x"}, "stop", None)) as fake:
        config = at(fake.url, price_in=1e4, price_out=1e4, max_cost=5.0, concurrency=1)
        assert 0 < len(asked(30, config, tmp_path)) <= 12


def test_the_key_is_sent_and_shown_nowhere(tmp_path, monkeypatch, capsys):
    echo = f"I was sent {KEY}"
    with serve(lambda body, attempt: ("message", {"content": echo}, "stop", None)) as fake:
        progress, said = heard()
        answers = asked(3, at(fake.url), tmp_path, progress=progress)
        assert fake.keys == {f"Bearer {KEY}"} and answers["r0"].text == "I was sent [API key]"
        assert KEY not in (tmp_path / llm.FILE).read_text() + said.getvalue() + "".join(capsys.readouterr())
        monkeypatch.setenv("OPENAI_API_KEY", "two words")
        with pytest.raises(UserError, match="contains blanks") as refused:
            asked(9, at(fake.url), tmp_path)
        assert "two words" not in str(refused.value)
        monkeypatch.delenv("OPENAI_API_KEY")
        assert asked(9, at(fake.url), tmp_path)["r8"].error is None, "a local server needs none"


def test_this_machine_is_asked_without_a_proxy(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serve() as fake:
        assert asked(1, at(fake.url), tmp_path)["r0"].error is None
    assert llm.is_here("http://localhost:1/v1") and not llm.is_here("http://127.0.0.1.example.org/v1")


def test_without_the_packages_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match="label"):
        asked(1, at("http://127.0.0.1:1/v1"), tmp_path)


def test_the_body_follows_the_configuration():
    body = request(0).body(LLMConfig(base_url="http://x/v1", model="m"))
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA and body["temperature"] == 0.0
    assert json.dumps(SCHEMA) in body["messages"][1]["content"] and body["max_tokens"] == 20
    other = {"structured": "none", "tokens_key": "max_completion_tokens", "temperature": None, "max_tokens": 7}
    body = request(0).body(LLMConfig(model="m", extra={"reasoning_effort": "low"}, **other))
    assert set(body) == {"model", "messages", "max_completion_tokens", "reasoning_effort"}
    assert body["max_completion_tokens"] == 7
    assert request(0, "\ud800").body(LLMConfig(model="m"))["messages"][1]["content"].startswith("\ufffd")


# What is kept


def test_every_cut_of_the_last_line_leaves_the_rest_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    for number in range(3):
        AnswerStore(path).add("m", request(number).key(), LLMAnswer(f"r{number}", text=f"one\u2028{number}\n\ud800"))
    data = path.read_bytes()
    begin = data[:-1].rindex(b"\n") + 1
    for end in range(begin, len(data)):
        path.write_bytes(data[:end])
        store = AnswerStore(path)
        assert sorted(store.answers([request(i) for i in range(3)], "m")) == ["r0", "r1"]
        store.add("m", request(2).key(), LLMAnswer("r2", text="again"))
        assert AnswerStore(path).answers([request(2)], "m")["r2"].text == "again"


@pytest.mark.parametrize("line", ["{", "[1]", '{"asked": "m", "key": "k"}', '{"asked": "m", "key": "k", "id": 3}', ""])
def test_a_line_that_is_no_answer_is_named(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="line 1: expected an answer"):
        AnswerStore(tmp_path / "a.jsonl")


def test_a_full_disk_leaves_the_store_whole(tmp_path, monkeypatch):
    store = AnswerStore(tmp_path / "a.jsonl")
    store.add("m", request(0).key(), LLMAnswer("r0", text="x"))

    def full(handle):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(MachineError, match="disk is full"):
            store.add("m", request(1).key(), LLMAnswer("r1", text="x"))
    store.add("m", request(2).key(), LLMAnswer("r2", text="x"))
    assert sorted(AnswerStore(tmp_path / "a.jsonl").answers(map(request, range(3)), None)) == ["r0", "r2"]


def test_two_commands_do_not_pay_twice(tmp_path):
    with held_elsewhere(tmp_path), serve() as fake:
        with pytest.raises(UserError, match="is being written"):
            asked(1, at(fake.url), tmp_path)
        assert not fake.paid


SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from test_llm import at, asked
try:
    asked(120, at(sys.argv[1], concurrency=5), Path(sys.argv[2]))
except KeyboardInterrupt:
    sys.exit(77)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
def test_a_stopped_command_loses_at_most_what_was_in_flight(tmp_path, kind):
    roots = os.pathsep.join(map(str, (*Path(__file__).parents[:2], Path(llm.__file__).parents[2])))
    with serve(delay=0.05) as fake:
        command = [sys.executable, "-c", SCRIPT, fake.url, str(tmp_path)]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": roots})
        while fake.paid.total() < 30 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(getattr(signal, kind))
        assert process.wait() == (77 if kind == "SIGINT" else -signal.SIGKILL)
        time.sleep(0.3)
        kept = len((tmp_path / llm.FILE).read_bytes().splitlines())
        assert 25 <= kept < 120 and fake.paid.total() - kept <= (0 if kind == "SIGINT" else 5)
        assert len(asked(120, at(fake.url), tmp_path)) == 120
        assert fake.paid.total() - 120 <= (0 if kind == "SIGINT" else 5)


# The configuration


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base_url": "http://a/v1"}, "model: is required"),
        ({"base_url": "a/v1", "model": "m"}, "complete address"),
        ({"base_url": "http://a/v1", "model": "m", "max_cost": 5}, "needs price_in"),
        ({"base_url": "http://a/v1", "model": "m", "retries": 21}, "retries"),
        ({"base_url": "http://a/v1", "model": "m", "url": "x"}, "base_url"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        parse_config(LLMConfig, values, "file")


@pytest.mark.parametrize(
    "values", [{"base_url": "http://u:hush@a/v1"}, {"base_url": "http://a/v1?key=hush"}, {"key_env": "hush"}]
)
def test_secrets_in_a_file_are_refused_unseen(tmp_path, values):
    path = tmp_path / "llm.yaml"
    path.write_text(json.dumps({"base_url": "http://a/v1", "model": "m", **values}))
    with pytest.raises(UserError, match="environment variable") as refused:
        parse_config(LLMConfig, read_yaml(path), str(path))
    assert "hush" not in str(refused.value)


# Reading an answer


class Label(pydantic.BaseModel):
    reasoning: str | None = None
    label: str | None


def said(text: str | None, **fields) -> LLMAnswer:
    return LLMAnswer("r", text=text, **fields)


@pytest.mark.parametrize(
    "text",
    [
        'Sure:\n```json\n{"label": "x"}\n```\nDone.',
        '<think>{"label": "y"}</think>{"label": "x"}',
        'Hm, {"label": "y"}.</think> {"label": "x"}',
        'In {braces} and \\frac{1}{2}: { "label": "x" }',
        '{"reasoning": "a", "label": "x"} {"reasoning": "b", "label": "x"}',
    ],
)
def test_the_object_is_found(text):
    read = parse(said(text), Label)
    assert isinstance(read, Label) and read.label == "x"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said("seven"), "no JSON object"),
        (said('{"label": 3}'), "JSON of the wrong form: label"),
        (said('{"label": "x", "more": {"label": "y"}'), "broken JSON"),
        (said('it says {"label": "x"}, but {"label": "y"}'), "2 different answers"),
        (said('{"label": "x", "label": "y"}'), "repeats a key"),
        (said('{"label": "x"} and then', finish="length"), "possibly followed"),
        (said("<think>so", finish="length"), "never finishes thinking (cut off at max_tokens)"),
        (said(None, refusal="I \x1b[31mwill not"), "refused: I <U+001B>[31mwill not"),
        (said(None, error="status 500"), "no answer: status 500"),
    ],
)
def test_nothing_is_guessed(answer, words):
    read = parse(answer, Label)
    assert isinstance(read, Failure) and words in read.reason


def test_every_cut_of_an_answer_is_a_failure():
    text = '```json\n{"reasoning": "a {b} \\"c\\"", "label": "x"}'
    assert isinstance(parse(said(text), Label), Label)
    assert all(isinstance(parse(said(text[:end]), Label), Failure) for end in range(len(text)))


@pytest.mark.parametrize("piece", ["{", '{"a":', "<think>", "[[", '{"label": "x"}', "</think>{"])
def test_hostile_texts_take_little_time(piece):
    began = time.process_time()
    parse(said(piece * 20_000), Label)
    assert time.process_time() - began < 5


def test_thinking_is_no_answer():
    assert after_thinking("<think>a</think> b") == " b" and after_thinking("a</think>b") == "b"
    assert after_thinking("plain") == "plain" and after_thinking(" <thinking>never ends") is None
