"""The chat over a fake endpoint: tools are asked, numbers are traced, failures are sentences, keys are nowhere."""

from __future__ import annotations

import json
import time

import pytest
from explorer_server import served
from tool_model import tool_model

from competency_gaps import open_run
from competency_gaps.items.config.llm import LLMConfig
from competency_gaps.view.page.chat import ROUNDS, chat_state, trace
from competency_gaps.view.page.tools import ask as ask_tool
from fake_endpoint import serve

KEY = "sk-a-secret-key"


def asked(opened, question, plan=tool_model, history=()):
    """Events of an answer, and the bodies that the endpoint was sent."""
    messages = [*history, {"role": "user", "content": question}]
    with serve(plan) as fake, served(opened, llm=LLMConfig(base_url=fake.url, model="fake", timeout=5)) as client:
        answer = client.post(
            "/chat", json={"run": "run", "messages": messages}, headers={"origin": "http://127.0.0.1:8742"}
        )
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()], fake.bodies


def test_a_question_is_answered_from_tools_with_traced_numbers(opened, hostile):
    events, bodies = asked(opened, "Which are the weakest, and what of the first? invent")
    queries, answer = events[:-1], events[-1]
    run = open_run(hostile.run)
    assert [query["name"] for query in queries] == ["concepts", "concept"]
    assert queries[0]["result"] == ask_tool(run, "concepts", queries[0]["arguments"])
    text = answer["text"]
    places = {text[number["start"] : number["end"]]: number["query"] for number in answer["numbers"]}
    assert places["4,711"] is None and places["−0.9137"] is None
    assert places[str(queries[0]["result"]["total"])] == 1
    assert {tool["function"]["name"] for tool in bodies[0]["tools"]} >= {"answer", "concept"}


def test_bad_arguments_are_told_to_the_model(opened):
    events, _ = asked(opened, "badly")
    assert ["error" in event["result"] for event in events[:-1]] == [True, True, False]
    assert events[-1]["type"] == "answer"


def test_rounds_end(opened):
    events, bodies = asked(opened, "forever")
    assert len(events) == ROUNDS + 1 and bodies[-1]["tool_choice"] == "none"


def test_the_last_turns_go_along(opened):
    history = [{"role": role, "content": f"{role} {i}"} for i in range(20) for role in ("user", "assistant")]
    _, bodies = asked(opened, "hello", history=history)
    turns = [turn for turn in bodies[0]["messages"] if turn["role"] != "system"]
    assert len(turns) <= 12 and turns[0]["role"] == "user" and turns[-1]["content"] == "hello"


def test_failures_are_sentences_without_the_key(opened, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = {"error": {"message": f"no such key: {KEY}"}}
    (event,), _ = asked(opened, "hello", plan=lambda body_, attempt: ("status", 401, body))
    assert event["type"] == "error" and KEY not in json.dumps(event) and "[API key]" in event["text"]
    (empty,), _ = asked(opened, "hello", plan=lambda body_, attempt: ("message", {"content": ""}, "stop", {}))
    assert empty["type"] == "error"


@pytest.mark.parametrize(
    "body", [{}, {"run": "run", "messages": []}, {"run": "run", "messages": [{"role": "user", "content": "x" * 9_000}]}]
)
def test_questions_of_another_form_are_refused(opened, body):
    llm = LLMConfig(base_url="http://127.0.0.1:1/v1", model="fake")
    with served(opened, llm=llm) as client:
        answer = client.post("/chat", json=body, headers={"origin": "http://127.0.0.1:8742"})
    assert answer.status_code == 400


def test_the_page_is_told_where_questions_go():
    here = chat_state(LLMConfig(base_url="http://localhost:8080/v1", model="m"))
    away = chat_state(LLMConfig(base_url="https://api.example.com/v1", model="m"))
    assert "on this machine" in here.note and "api.example.com" in away.note
    assert not chat_state(None).configured


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("45%", 1),
        ("0.4512", 1),
        ("46%", None),
        ("1,234", 2),
        ("1235", None),
        ("−0.31", 2),
        ("+0.31", None),
        ("0.31", None),
        ("7.5e-06", 2),
    ],
)
def test_a_number_is_traced_if_a_result_rounds_to_it(text, query):
    results = [(1, {"a": 0.4512}), (2, {"n": 1234, "rows": [{"gap": -0.3141, "text": "of 12"}], "p": 7.5e-6})]
    (number,) = trace(f"It is {text}.", results)
    assert (f"It is {text}."[number.start : number.end].lstrip("+"), number.query) == (text.lstrip("+"), query)
    assert trace("It is 99.", [(1, {"error": "not 99"})])[0].query is None


def test_numbers_beyond_all_measure_take_no_time():
    begun = time.process_time()
    trace("It is 1e-1000000, or 1e99999999999.", [(1, {"text": "1e-1000000 and 1e99999999999"})])
    assert time.process_time() - begun < 1
