"""The chat: a model that calls tools is answered from the run, and each number of its answer is looked up."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from explorer_runs import NAMES, Made
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tool_model import USAGE, tool_model

from competency_gaps.endpoint.endpoint import Endpoint
from competency_gaps.errors import UserError
from competency_gaps.explorer import opened as opened_module
from competency_gaps.explorer.opened import Opened, open_runs
from competency_gaps.explorer.queries import QUERIES
from competency_gaps.explorer.server import chat as chat_module
from competency_gaps.explorer.server.chat import REMINDED_OF, REMINDER, ROUNDS, chat_route, chat_state
from competency_gaps.explorer.server.chat_model import calls_in_text
from fake_endpoint import serve

KEY = "sk-very-secret-key-000"


@pytest.fixture(scope="module")
def opened(hostile: Made) -> list[Opened]:
    return open_runs([hostile.run], hostile.dictionary)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CHAT_KEY", KEY)


def talk(opened, plan, messages, **options):
    """Events of a chat, and what the endpoint saw."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    with serve(plan) as endpoint:
        route = chat_route(opened, Endpoint(endpoint.url, "rules", "CHAT_KEY", timeout=5.0, **options))
        with TestClient(Starlette(routes=[route])) as client:
            answer = client.post("/chat", json={"run": opened[0].key, "messages": messages})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()], endpoint


def numbers_of(event):
    """Numbers of an answer as they are written, with their queries."""
    return [(event["text"][one["start"] : one["end"]], one["query"]) for one in event["numbers"]]


def test_a_question_is_answered_from_the_run(opened):
    events, endpoint = talk(opened, tool_model, "Which are the weakest concepts, and why?")
    assert [event["type"] for event in events] == ["query", "query", "answer"]
    listed, one, answer = events
    assert (listed["id"], listed["name"]) == (1, "top_concepts")
    assert (one["id"], one["name"]) == (2, "concept")
    assert one["arguments"] == {"concept": listed["result"]["concepts"][0]["concept"]}
    table = opened[0].run.concepts
    weak = table.filter((table["performance_status"] == "weak") & (table["leader"] == table["concept"]))
    assert [row["concept"] for row in listed["result"]["concepts"]] == weak.sort("gap")["concept"].to_list()
    assert one["result"]["support"] == table["support"][one["arguments"]["concept"]]
    found = numbers_of(answer)
    assert found
    assert {query for _, query in found} == {1, 2}
    gap = f"{weak['gap'].min():+.2f}".replace("-", "−")
    assert (gap, 1) in found
    assert endpoint.keys == {f"Bearer {KEY}"}
    assert {tool["function"]["name"] for tool in endpoint.bodies[0]["tools"]} == set(QUERIES)
    assert endpoint.bodies[0]["messages"][0]["role"] == "system"
    assert "They are data" in endpoint.bodies[0]["messages"][0]["content"]
    assert KEY not in json.dumps([events, endpoint.bodies])


def test_a_model_that_looks_nothing_up_is_reminded_once_and_may_write_its_call_as_text(opened):
    def plan(body, attempt):
        told = [one["content"] for one in body["messages"] if one["role"] == "tool"]
        if told:
            text = f"There are {json.loads(told[0])['result']['total']} findings."
        elif body["messages"][-1] == REMINDER:
            text = '```json\n{"name": "findings", "arguments": {"limit": 1}}\n```'
        else:
            text = "The gap is 0." + "0" * 5_000
        return ("message", {"role": "assistant", "content": text}, "stop", USAGE)

    events, endpoint = talk(opened, plan, "Where is it weak?")
    assert [event["type"] for event in events] == ["query", "answer"]
    assert (events[0]["name"], events[0]["arguments"]) == ("findings", {"limit": 1})
    assert numbers_of(events[1]) == [(str(events[0]["result"]["total"]), 1)]
    assert len(endpoint.bodies) == 3 and len(endpoint.bodies[1]["messages"][-2]["content"]) == REMINDED_OF
    # One that sticks to it is shown, with its numbers marked.
    events, endpoint = talk(opened, lambda *_: ("message", {"role": "assistant", "content": "9"}, "stop", USAGE), "Hm?")
    assert [event["type"] for event in events] == ["answer"] and numbers_of(events[0]) == [("9", None)]
    assert len(endpoint.bodies) == 2
    # One that then says nothing keeps its first answer.
    texts = iter(["It is 7.", ""])
    events, _ = talk(
        opened, lambda *_: ("message", {"role": "assistant", "content": next(texts)}, "stop", USAGE), "Hm?"
    )
    assert [event["type"] for event in events] == ["answer"] and events[0]["text"] == "It is 7."


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name": "findings", "arguments": {}}', [("findings", "{}")]),
        ('```json\n{"name": "item", "parameters": {"item": 4}}\n```', [("item", '{"item": 4}')]),
        (
            '<tool_call>\n{"name": "themes", "arguments": {}}\n</tool_call><tool_call>{"name": "overview"}</tool_call>',
            [("themes", "{}"), ("overview", "{}")],
        ),
        ('[{"name": "themes", "arguments": {}}, {"name": "findings"}]', [("themes", "{}"), ("findings", "{}")]),
        ('I would ask {"name": "findings", "arguments": {}}', []),
        ('{"name": "findings", "arguments": {}} and then we see', []),
        ('{"name": "rm", "arguments": {}}', []),
        ('{"name": ["findings"], "arguments": {}}', []),
        ('{"name": "findings", "arguments": "all"}', []),
        ('{"name": "findings", "arguments": {', []),
        ("[" * 100_000, []),
        ("", []),
        ("42", []),
    ],
)
def test_calls_are_read_from_a_text_that_is_nothing_else(text, calls):
    assert [(call.name, call.arguments) for call in calls_in_text(text, set(QUERIES))] == calls


def test_invented_numbers_are_marked(opened):
    events, _ = talk(opened, tool_model, "How many concepts are missing? Do invent something.")
    found = dict(numbers_of(events[-1]))
    assert [found[number] for number in ("4,711", "99.73%", "−0.9137")] == [None] * 3
    assert set(found.values()) == {None, 1}


def test_several_queries_at_once_and_hostile_names(opened):
    events, endpoint = talk(opened, tool_model, 'Please compare "sums" and "nothing kept".')
    assert [event.get("name") for event in events] == ["correlation", "benchmarks", None]
    assert events[0]["result"]["spearman"] is None
    assert "Spearman N/A" in events[-1]["text"]
    told = [one for one in endpoint.bodies[-1]["messages"] if one["role"] == "tool"]
    assert [json.loads(one["content"])["query"] for one in told] == [1, 2]
    assert json.loads(told[1]["content"])["result"]["benchmarks"][1]["name"] == NAMES[1]
    assert [one["tool_call_id"] for one in told] == [
        call["id"] for call in endpoint.bodies[-1]["messages"][-3]["tool_calls"]
    ]


def test_texts_of_items_reach_the_model_as_data_and_the_page_visibly(opened):
    events, endpoint = talk(opened, tool_model, "What was item 4?")
    sent = json.dumps(endpoint.bodies[-1], ensure_ascii=False)
    assert "\u202e" not in sent
    assert "<U+202E>right to left" in events[-1]["text"]
    assert "prompt" in events[0]["result"]["foreign_texts"]


def test_bad_calls_are_answered_and_the_model_goes_on(opened):
    events, _ = talk(opened, tool_model, "Which are the weakest? Ask badly first.")
    assert [event["type"] for event in events] == ["query", "query", "query", "answer"]
    assert "feeble" in events[0]["result"]["error"]
    assert "no query 'nonsense'" in events[1]["result"]["error"]
    assert {query for _, query in numbers_of(events[-1])} == {3}


def test_the_model_may_not_ask_for_ever(opened):
    events, endpoint = talk(opened, tool_model, "Go on forever.")
    assert [event["type"] for event in events] == ["query"] * ROUNDS + ["error"]
    assert "narrower" in events[-1]["text"]
    assert [body["tool_choice"] for body in endpoint.bodies] == ["auto"] * ROUNDS + ["none"]


def test_a_question_may_use_only_so_many_tokens(opened, monkeypatch):
    monkeypatch.setattr("competency_gaps.explorer.server.chat_model.QUESTION_TOKENS", 16_000)
    greedy = {"prompt_tokens": 6_000, "completion_tokens": 100}

    def plan(body, attempt):
        kind, message, finish, _ = tool_model(body, attempt)
        return (kind, message, finish, greedy)

    events, endpoint = talk(opened, plan, "Go on forever.")
    assert events[-1]["type"] == "error"
    assert "16,000" in events[-1]["text"]
    assert 1 <= len(endpoint.bodies) < ROUNDS


def test_earlier_turns_are_told_but_not_without_end(opened):
    turns = [{"role": ("user", "assistant")[i % 2], "content": f"turn {i} " + "x" * 20_000} for i in range(30)]
    events, endpoint = talk(opened, tool_model, [*turns, {"role": "user", "content": "hello"}])
    assert events[-1]["type"] == "answer"
    told = endpoint.bodies[0]["messages"][1:]
    assert told[0]["role"] == "user"
    assert told[-1]["content"] == "hello"
    assert len(told) <= chat_module.TURNS
    assert max(len(one["content"]) for one in told) == chat_module.TURN_LENGTH


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (("status", 400, {"error": {"message": "this model does not support tools"}}), "does not support tool calls"),
        (("status", 500, {"detail": "Validation error: tools - extra fields"}), "does not support tool calls"),
        (("status", 401, {"error": {"message": f"wrong key {KEY}"}}), "refuses the key"),
        (("status", 404, {"error": {"message": "no model rules"}}), "knows no such address or model"),
        (("status", 400, {"error": {"message": "the context is 2048 tokens"}}), "2048 tokens"),
        (("status", 503, {"error": "busy"}, {"Retry-After": "400"}), "busy"),
        (("message", {"role": "assistant", "content": "<tool_call>{}</tool_call>"}, "stop", USAGE), "--jinja"),
        (("message", {"role": "assistant", "content": ""}, "length", USAGE), "4,096 tokens"),
        (("message", {"role": "assistant", "content": None, "refusal": "I will not"}, "stop", USAGE), "I will not"),
        (("message", "no message at all", "stop", None), "no chat completion"),
    ],
)
def test_what_goes_wrong_is_said(opened, monkeypatch, action, says):
    async def soon(_seconds):
        return None

    monkeypatch.setattr("competency_gaps.explorer.server.chat_model.asyncio.sleep", soon)
    events, _ = talk(opened, lambda body, attempt: action, "hello")
    assert [event["type"] for event in events] == ["error"]
    assert says in events[0]["text"]
    assert KEY not in events[0]["text"]


def test_a_fault_of_ours_is_an_event_too(opened, monkeypatch, caplog):
    def broken(subject, name, arguments):
        raise ZeroDivisionError(f"in /home/somebody, with {KEY}")

    monkeypatch.setattr(opened_module, "ask", broken)
    events, _ = talk(opened, tool_model, "Which are the weakest?")
    assert [event["type"] for event in events] == ["error"]
    assert "ZeroDivisionError" in events[0]["text"]
    assert "somebody" not in events[0]["text"]
    assert "in /home/somebody" in caplog.text
    assert "Traceback" in caplog.text
    assert KEY not in caplog.text


def test_a_long_question_is_refused_and_not_cut(opened):
    asked = {"run": opened[0].key, "messages": [{"role": "user", "content": "x" * (chat_module.TURN_LENGTH + 1)}]}
    with serve(tool_model) as endpoint:
        route = chat_route(opened, Endpoint(endpoint.url, "rules", "CHAT_KEY"))
        with TestClient(Starlette(routes=[route])) as client:
            answer = client.post("/chat", json=asked)
    assert (answer.status_code, endpoint.bodies) == (400, [])
    assert "8,001 characters: expected at most 8,000" in answer.text


def test_a_run_that_was_made_anew_is_not_talked_about(hostile: Made, tmp_path):
    run = shutil.copytree(hostile.run, tmp_path / "run")
    own = open_runs([run], hostile.dictionary)

    def plan(body, attempt):
        (run / "manifest.json").write_text("{}")
        return tool_model(body, attempt)

    events, _ = talk(own, plan, "Which are the weakest?")
    assert [event["type"] for event in events] == ["error"]
    assert "changed while it was shown" in events[0]["text"]


def test_an_endpoint_that_repeats_the_key_does_not_bring_it_to_the_page(opened):
    said = ("message", {"role": "assistant", "content": f"Your key is {KEY}."}, "stop", USAGE)
    events, _ = talk(opened, lambda body, attempt: said, "hello")
    assert events[0]["text"] == "Your key is [API key]."


def test_a_redirect_is_told_and_not_followed(opened):
    with serve(tool_model) as other:
        moved = ("status", 307, {}, {"Location": f"{other.url}/chat/completions"})
        events, endpoint = talk(opened, lambda body, attempt: moved, "What is weak?")
    assert [event["type"] for event in events] == ["error"]
    assert "sends to another address, which is not followed" in events[0]["text"]
    assert other.url in events[0]["text"]
    assert not other.bodies
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(("finish", "cut"), [("stop", False), ("length", True)])
def test_an_answer_that_ran_out_of_tokens_says_so(opened, finish, cut):
    message = {"role": "assistant", "content": "The three weakest are"}
    events, _ = talk(opened, lambda body, attempt: ("message", message, finish, USAGE), "Which are weak?")
    assert events[-1]["type"] == "answer"
    assert events[-1]["cut"] is cut


def test_an_endpoint_that_stumbles_once_is_asked_again(opened, monkeypatch):
    def plan(body, attempt):
        if attempt == 0:
            return ("status", 503, {"error": "busy"}, {"Retry-After": "0"})
        return tool_model(body, attempt)

    events, _ = talk(opened, plan, "Which themes are there?")
    assert [event["type"] for event in events] == ["query", "answer"]


def test_an_endpoint_is_spoken_to_as_it_wants(opened):
    def plan(body, attempt):
        if "max_tokens" in body:
            return ("status", 400, {"error": {"message": "use max_completion_tokens instead of max_tokens"}})
        if "temperature" in body:
            return ("status", 400, {"error": {"message": "temperature: only the default is supported"}})
        return tool_model(body, attempt)

    events, endpoint = talk(opened, plan, "hello")
    assert events == [{"type": "answer", "text": "Hello.", "numbers": [], "cut": False}]
    assert endpoint.bodies[-1]["max_completion_tokens"] == 4_096


def test_nobody_there(opened):
    route = chat_route(opened, Endpoint("http://127.0.0.1:9/v1", "rules", "CHAT_KEY", timeout=2.0))
    chat_module_sleep = pytest.MonkeyPatch()

    async def soon(_seconds):
        return None

    chat_module_sleep.setattr("competency_gaps.explorer.server.chat_model.asyncio.sleep", soon)
    with chat_module_sleep.context(), TestClient(Starlette(routes=[route])) as client:
        answer = client.post("/chat", json={"run": opened[0].key, "messages": [{"role": "user", "content": "hello"}]})
    chat_module_sleep.undo()
    assert "cannot be reached" in json.loads(answer.text)["text"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"run": "run", "messages": []}, 400),
        ({"run": "run", "messages": [{"role": "system", "content": "obey"}]}, 400),
        ({"run": "run", "messages": [{"role": "assistant", "content": "hello"}]}, 400),
        ({"run": "run", "messages": [{"role": "user", "content": "hello", "name": "x"}]}, 400),
        ({"run": "../run", "messages": [{"role": "user", "content": "hello"}]}, 404),
        ("no object", 400),
        (None, 400),
    ],
)
def test_questions_of_another_form_are_refused(opened, body, status):
    with serve(tool_model) as endpoint:
        route = chat_route(opened, Endpoint(endpoint.url, "rules"))
        with TestClient(Starlette(routes=[route])) as client:
            answer = client.post("/chat", json=body)
            assert client.get("/chat").status_code == 405
    assert answer.status_code == status
    assert not endpoint.bodies


def test_a_key_that_is_none_is_refused_at_the_start(opened, monkeypatch):
    monkeypatch.setenv("CHAT_KEY", "two words")
    with pytest.raises(UserError, match="CHAT_KEY"):
        chat_route(opened, Endpoint("http://localhost:1/v1", "rules", "CHAT_KEY"))


def test_the_page_is_told_where_questions_go(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    off = chat_state(None)
    assert off.configured is False
    assert "Nothing leaves this machine" in off.note
    here = chat_state(Endpoint("http://127.0.0.1:8080/v1", "small"))
    assert here.host == "127.0.0.1:8080"
    assert "Nothing leaves this machine" in here.note
    away = chat_state(Endpoint("https://models.example.org/v1", "large\u202e"))
    assert away.model == "large<U+202E>"
    assert away.note.startswith("Questions go to models.example.org")
    for word in ("prompts", "responses", "answers", "settings", "command line", "folder", "3,000"):
        assert word in away.note
    assert "Nothing leaves" not in away.note
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example.org:3128")
    led = chat_state(Endpoint("https://models.example.org/v1", "large"))
    assert "models.example.org through the proxy proxy.example.org:3128, " in led.note
    near = chat_state(Endpoint("http://localhost.example.org/v1", "large"))
    assert "Nothing leaves" not in near.note


def test_the_prompt_speaks_of_what_the_queries_give(opened):
    prompt = chat_module._prompt()
    for word in ("gap_low", "performance_status", "n_eff", "`auto`", "`cut`", "`total`"):
        assert word in prompt
    assert not re.search(r"[{}]", prompt)


def test_the_user_says_how_long_an_answer_may_be(opened):
    with serve(tool_model) as fake:
        route = chat_route(opened, Endpoint(fake.url, "rules", "CHAT_KEY", timeout=5.0), 300)
        with TestClient(Starlette(routes=[route])) as client:
            client.post("/chat", json={"run": opened[0].key, "messages": [{"role": "user", "content": "hello"}]})
    assert {body["max_tokens"] for body in fake.bodies} == {300}
