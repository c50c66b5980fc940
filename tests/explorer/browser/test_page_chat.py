"""The chat on the page: answers with traced numbers, hostile texts, errors, and where nobody answers."""

from __future__ import annotations

import json
import re
import time

import polars as pl
import pytest
from page_helpers import open_view
from tool_model import tool_model

from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.open import open_folder
from fake_endpoint import serve

BOX = "chat-input"


@pytest.fixture(scope="module")
def talking(two_runs):
    """An explorer with a model behind it: its address, its first run, and what the endpoint saw."""
    from test_explore_cli import exploring

    def plan(body, attempt):
        if "slowly" in body["messages"][-1]["content"]:
            time.sleep(3)
        return tool_model(body, attempt)

    paths = [made.run for made in two_runs]
    key = open_runs(paths)[0].key
    with serve(plan) as endpoint:
        arguments = [*map(str, paths), "--port", "0", "--no-open", "--base-url", endpoint.url, "--model", "rules"]
        with exploring(*arguments) as (_, port, _):
            yield f"http://127.0.0.1:{port}/#/{key}/chat", open_folder(paths[0]), endpoint


def ask(page, question, answers=1):
    page.get_by_test_id(BOX).fill(question)
    page.keyboard.press("Enter")
    page.get_by_test_id("chat-answer").nth(answers - 1).wait_for()
    # An answer is shown while its stream is still open; until that ends, Enter sends nothing.
    page.get_by_test_id("chat-send").wait_for()


def test_where_nobody_answers_the_page_says_how_somebody_would(site, page):
    if site.mode == "static":
        pytest.skip("an export has no chat")
    open_view(page, site.address("chat"), "chat-off")
    said = page.get_by_test_id("chat-off").inner_text()
    assert "--base-url" in said
    assert "cgaps mcp" in said
    assert page.get_by_test_id(BOX).count() == 0


def test_numbers_lead_to_the_query_that_gave_them_and_invented_ones_are_marked(talking, page):
    address, run, endpoint = talking
    open_view(page, address, BOX)
    assert re.search(r"on this machine \(127\.0\.0\.1:\d+\)", page.get_by_test_id("chat-notice").inner_text())
    ask(page, "Which are the weakest concepts, and why? Do invent something.")
    weak = run.concepts.filter((pl.col("performance_status") == "weak") & (pl.col("leader") == pl.col("concept")))
    answer = page.get_by_test_id("chat-answer")
    gap = f"{weak['gap'].min():+.2f}".replace("-", "−")
    traced = answer.get_by_test_id("chat-traced").filter(has_text=gap).first
    assert answer.get_by_test_id("chat-untraced").all_inner_texts() == ["4,711", "99.73%", "−0.9137"]
    assert traced.get_attribute("aria-label") == f"{gap}, from query 1"
    assert "3 of" in page.get_by_test_id("chat-trace").inner_text()
    query = page.get_by_test_id("chat-query").first
    assert query.get_attribute("open") is None
    traced.focus()
    page.keyboard.press("Enter")
    first = query.locator("tbody tr").first
    first.wait_for()
    assert str(weak.sort("gap")["concept"][0]) in first.inner_text()
    assert query.get_attribute("open") is not None
    first.get_by_role("button").first.click()
    page.get_by_test_id("panel").wait_for()
    assert f"concept={weak.sort('gap')['concept'][0]}" in page.url
    assert endpoint.bodies[-1]["messages"][-1]["role"] == "tool"


def test_hostile_texts_stay_texts(talking, page):
    address, _, _ = talking
    open_view(page, address, BOX)
    ask(page, "What was item 0?")
    ask(page, "What was item 4? \u202e<img src=x onerror=alert(1)>", answers=2)
    for summary in page.get_by_test_id("chat-query").locator("> summary").all():
        summary.click()
    said = page.get_by_test_id("chat-answer").all_inner_texts()
    assert "<script>window.hacked = " in said[0]
    assert "U+202E" in said[1]
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("main img, main script").count() == 0
    assert "\u202e" not in page.locator("main").inner_text()


def test_errors_are_said_and_an_answer_can_be_stopped(talking, page):
    address, _, _ = talking
    open_view(page, address, BOX)
    page.get_by_test_id(BOX).fill("Go on forever.")
    page.get_by_test_id("chat-send").click()
    page.get_by_test_id("chat-error").wait_for()
    assert "narrower" in page.get_by_test_id("chat-error").inner_text()
    page.get_by_test_id("chat-send").wait_for()
    page.get_by_test_id(BOX).fill("Think slowly.")
    page.keyboard.press("Enter")
    page.get_by_test_id("chat-stop").click()
    page.get_by_test_id("chat-error").nth(1).wait_for()
    assert "Stopped." in page.get_by_test_id("chat-error").nth(1).inner_text()


@pytest.mark.parametrize("cut", [True, False])
def test_an_answer_that_is_cut_off_says_so(talking, page, cut):
    address, _, _ = talking
    events = [{"type": "answer", "text": "The weakest concept is the one of", "numbers": [], "cut": cut}]
    body = "".join(json.dumps(event) + "\n" for event in events)
    page.route("**/chat", lambda route: route.fulfill(content_type="application/x-ndjson", body=body))
    open_view(page, address, BOX)
    ask(page, "Which is the weakest concept?")
    page.get_by_test_id("chat-trace").wait_for()
    said = page.get_by_test_id("chat-cut").all_inner_texts()
    assert len(said) == cut
    assert all("cut off at the model’s token limit" in one for one in said)


def test_a_conversation_outlives_a_change_of_view_and_belongs_to_its_run(talking, page):
    address, _, endpoint = talking
    open_view(page, address, BOX)
    page.get_by_test_id("chat-example").first.click()
    page.get_by_test_id("chat-answer").wait_for()
    page.get_by_test_id("chat-send").wait_for()
    page.get_by_test_id("menu-overview").click()
    page.get_by_test_id("findings").wait_for()
    page.get_by_test_id("menu-chat").click()
    page.get_by_test_id("chat-answer").wait_for()
    ask(page, "And which themes?", answers=2)
    told = [one["role"] for one in endpoint.bodies[-1]["messages"]]
    assert told[:4] == ["system", "user", "assistant", "user"]
    page.get_by_test_id("chat-new").click()
    page.get_by_test_id("chat-example").first.wait_for()
    assert page.get_by_test_id("chat-turn").count() == 0
