"""The chat: a model that calls tools is answered from the run, and each number of its answer is looked up."""

from __future__ import annotations

import json
import re

import pytest
from explorer_runs import NAMES, Made
from starlette.applications import Starlette
from starlette.testclient import TestClient
from tool_model import USAGE, tool_model

from competency_gaps.endpoint.client import Endpoint
from competency_gaps.errors import UserError
from competency_gaps.explorer.opened import Opened, open_runs
from competency_gaps.explorer.queries import QUERIES
from competency_gaps.explorer.queries.trace import trace, written_numbers
from competency_gaps.explorer.server import chat as chat_module
from competency_gaps.explorer.server.chat import ROUNDS, chat_route
from competency_gaps.explorer.server.chat_state import chat_state
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
        (("status", 400, {"error": {"message": "this model does not support tools"}}), "does not take tool calls"),
        (("status", 500, {"detail": "Validation error: tools - extra fields"}), "does not take tool calls"),
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


def test_an_endpoint_that_repeats_the_key_does_not_bring_it_to_the_page(opened):
    said = ("message", {"role": "assistant", "content": f"Your key is {KEY}."}, "stop", USAGE)
    events, _ = talk(opened, lambda body, attempt: said, "hello")
    assert events[0]["text"] == "Your key is [API key]."


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
    assert events == [{"type": "answer", "text": "Hello.", "numbers": []}]
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


def test_the_page_is_told_where_questions_go():
    off = chat_state(None)
    assert off["configured"] is False
    assert "nothing leaves this machine" in off["note"]
    here = chat_state(Endpoint("http://127.0.0.1:8080/v1", "small"))
    assert here["host"] == "127.0.0.1:8080"
    assert "Nothing leaves this machine" in here["note"]
    away = chat_state(Endpoint("https://models.example.org/v1", "large\u202e"))
    assert away["model"] == "large<U+202E>"
    assert away["note"].startswith("Questions go to models.example.org")
    assert "Nothing leaves" not in away["note"]
    near = chat_state(Endpoint("http://localhost.example.org/v1", "large"))
    assert "Nothing leaves" not in near["note"]


def values(text):
    return [(float(one.value), one.percent) for one in written_numbers(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4,094 of 131\u202f072 and 1,234,567.5", [4094, 131072, 1234567.5]),
        ("−0.38, -0.25, +0.1 and (−3)", [-0.38, -0.25, 0.1, -3]),
        ("a gap of –0.2; 3-5 items; 2026-11-25", [-0.2, 3, 5, 2026, 11, 25]),
        ("8.7e-07, 1.2 × 10⁻⁵ and 3·10^4", [8.7e-7, 1.2e-5, 3e4]),
        ("0,31 und 1,5 Prozent", [0.31, 1.5]),
        ("65k, 1.2 million, 3M", [65_000, 1_200_000, 3_000_000]),
        ("gsm8k-v2, top10", [8_000, 2, 10]),
        ("1. first\n2) second 7\n  3. third", [7]),
        ("1,2,3 and .5", [1, 2, 3, 0.5]),
        ("<U+202E>5 and <U+0007>", [5]),
        ("no numbers", []),
    ],
)
def test_numbers_are_found(text, found):
    assert [value for value, _ in values(text)] == found


def test_percentages_are_found():
    assert values("24%, 2.5 %, 7 percent, 3 percentage points, 5") == [
        (24, True),
        (2.5, True),
        (7, True),
        (3, True),
        (5, False),
    ]


RESULT = {
    "gap": -0.384396,
    "q": 8.71302e-07,
    "n_eff": 50.7134,
    "share": 0.2412,
    "lift": 3.4,
    "alive": 4094,
    "text": "56% is the mean score on 1,750 items of gsm8k",
    "nested": [{"concept": 282}, None, True],
}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("−0.38", True),
        ("-0.384", True),
        ("-0.385", False),
        ("0.38", False),
        ("−0.4", True),
        ("8.7e-07", True),
        ("8.7 × 10⁻⁷", True),
        ("8.6e-07", False),
        ("51", True),
        ("50", False),
        ("24%", True),
        ("24.1 percent", True),
        ("24.2%", False),
        ("25%", False),
        ("0.24", True),
        ("24", False),
        ("3", False),
        ("3.4", True),
        ("4,094", True),
        ("4.1k", True),
        ("4,100", False),
        ("56%", True),
        ("0.56", True),
        ("56", False),
        ("1,750", True),
        ("gsm8k", True),
        ("gsm7k", False),
        ("282", True),
        ("1", False),
        ("0", False),
        ("0%", False),
        ("0.00", True),
        ("−0.00", True),
    ],
)
def test_a_number_is_looked_up_as_it_is_written(text, known):
    assert [one["query"] for one in trace(text, [(5, RESULT)])] == [5 if known else None]


def test_the_first_query_that_has_a_number_is_named_and_exact_ones_go_first():
    results = [(1, {"error": "no concept 77, not 0.5"}), (2, {"a": 0.4567}), (3, {"a": 0.46, "b": 12}), (4, {"b": 12})]
    assert [one["query"] for one in trace("0.46, 12, 77, 0.5", results)] == [3, 3, None, 2]


def test_places_count_characters_as_other_ranges_do():
    (one,) = trace("🦊𝒳 has 282 items", [(1, RESULT)])
    assert (one["start"], one["end"]) == (7, 10)


def test_tracing_stays_quick():
    text = " ".join(f"{i}.{i % 10}," * 30 + "9" * 400 for i in range(40)) + "," * 20_000 + "1 000" * 2_000
    results = [(i, {"rows": [{"a": i + j / 7} for j in range(300)]}) for i in range(8)]
    assert len(trace(text[:20_000], results)) > 500


def test_the_prompt_speaks_of_what_the_queries_give(opened):
    prompt = chat_module._prompt()
    for word in ("gap_low", "performance_status", "n_eff", "`auto`", "`doubtful`", "`cut`", "`total`"):
        assert word in prompt
    assert not re.search(r"[{}]", prompt)
