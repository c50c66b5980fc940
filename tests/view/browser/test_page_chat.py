"""The chat on the page: answers with traced numbers, hostile texts, errors, and where nobody answers."""

from __future__ import annotations

import json
import time

import polars as pl
import pytest
from page_helpers import cut_off, open_view, serious
from tool_model import tool_model

from competency_gaps.runs.open import open_folder
from competency_gaps.view.page.opened import open_runs
from fake_endpoint import serve

BOX = "chat-input"


@pytest.fixture(scope="module")
def talking(hostile, tmp_path_factory):
    """An explorer with a model behind it: its address, its run, and what the endpoint saw."""
    from test_explore_cli import exploring

    def plan(body, attempt):
        if "slowly" in body["messages"][-1]["content"]:
            time.sleep(3)
        return tool_model(body, attempt)

    (opened,) = open_runs([hostile.run])
    with serve(plan) as endpoint:
        llm = tmp_path_factory.mktemp("llm") / "llm.json"
        llm.write_text(json.dumps({"base_url": endpoint.url, "model": "rules"}))
        arguments = [str(hostile.run), "--port", "0", "--no-open", "--llm", str(llm)]
        with exploring(*arguments) as (_, port, _):
            yield f"http://127.0.0.1:{port}/#/{opened.key}/chat", open_folder(hostile.run), endpoint


def ask(page, question, answers=1):
    page.get_by_test_id(BOX).fill(question)
    page.keyboard.press("Enter")
    page.get_by_test_id("chat-answer").nth(answers - 1).wait_for()
    # An answer is shown while its stream is still open; until that ends, Enter sends nothing.
    page.get_by_test_id("chat-send").wait_for()


def test_numbers_are_traced_and_the_conversation_goes_on(talking, page):
    address, run, endpoint = talking
    open_view(page, address, BOX)
    ask(page, "Which are the weakest concepts, and why? Do invent something.")
    failing = run.concepts.filter(pl.col("performance_status") == "failure").sort("association")
    answer = page.get_by_test_id("chat-answer")
    association = f"{failing['association'][0]:+.2f}".replace("-", "−")
    assert answer.get_by_test_id("chat-untraced").all_inner_texts() == ["4,711", "−0.9137"]
    answer.get_by_test_id("chat-traced").filter(has_text=association).first.click()
    result = page.get_by_test_id("chat-query").first.locator("pre")
    result.wait_for()
    assert f'"concept": {failing["concept"][0]}' in result.inner_text()
    page.get_by_test_id("menu-answer").click()
    page.get_by_test_id("headline").wait_for()
    page.get_by_test_id("menu-chat").click()
    ask(page, "hello \u202e<img src=x onerror=alert(1)>", answers=2)
    assert [message["role"] for message in endpoint.bodies[-1]["messages"]][:4] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert page.locator("main img, main script").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()
    assert not serious(page) + cut_off(page)
    page.get_by_test_id("chat-new").click()
    page.get_by_test_id("chat-example").first.wait_for()


def test_stopped_and_cut_answers_say_so(talking, page):
    address, _, _ = talking
    open_view(page, address, BOX)
    page.get_by_test_id(BOX).fill("Think slowly.")
    page.keyboard.press("Enter")
    page.get_by_test_id("chat-stop").click()
    page.get_by_test_id("chat-error").get_by_text("Stopped.").wait_for()
    body = json.dumps({"type": "answer", "text": "The weakest concept is", "numbers": [], "cut": True}) + "\n"
    page.route("**/chat", lambda route: route.fulfill(content_type="application/x-ndjson", body=body))
    ask(page, "Which is the weakest concept?")
    page.get_by_text("cut off at the model’s token limit").wait_for()
    page.unroute("**/chat")
