"""The panel beside a view, what Escape closes, and which benchmark a number and a link are about."""

from __future__ import annotations

import re
from urllib.parse import quote

import polars as pl
import pytest
from page_helpers import SECOND, close, number, open_view

PLACE = "() => document.querySelector('[data-testid=panel]').scrollTop"


def much_tested(site) -> int:
    """The concept with a verdict that is active in most items."""
    kept = site.concepts.filter(pl.col("ranked") & pl.col("performance_status").is_in(["weak", "strong", "typical"]))
    return kept.sort("support", descending=True)["concept"][0]


def parameters(address: str) -> set[str]:
    return {one.split("=")[0] for one in address.partition("?")[2].split("&")}


def test_what_the_suite_says_leads_to_the_suite(site, page):
    open_view(page, site.address(f"overview?{SECOND}"), "theme-bars")
    for link in page.get_by_test_id("theme-bars").get_by_role("link").all():
        assert parameters(link.get_attribute("href")) == {"theme"}


def test_an_item_shows_how_strongly_the_concept_is_active_that_it_was_opened_from(site, page):
    concept = much_tested(site)
    open_view(page, site.address(f"concepts?concept={concept}"), "concept-benchmarks")
    example = (
        page.get_by_test_id("concept-examples").get_by_test_id("example").filter(has=page.locator("mark.token")).first
    )
    coloured = example.locator("mark.token[style*=background]")
    coloured.first.wait_for()
    shown = [(mark.inner_text(), mark.get_attribute("style"), mark.get_attribute("title")) for mark in coloured.all()]
    assert shown
    example.get_by_role("button", name="Open item").click()
    text = page.get_by_test_id("item-text")
    text.locator("mark.token[style*=background]").first.wait_for()
    marks = text.locator("mark.token[style*=background]").all()
    whole = [(mark.inner_text(), mark.get_attribute("style"), mark.get_attribute("title")) for mark in marks]
    # A token may begin before the item's own text, which is shown apart.
    joined = "".join(text for text, _, _ in whole)
    assert all(text in joined for text, _, _ in shown)
    assert {title for _, _, title in shown} <= {title for _, _, title in whole}
    assert page.get_by_text("how strongly the concept that you choose below is active").is_visible()


def test_an_item_begins_at_its_top_and_the_concept_stays_where_it_was(site, page):
    concept = much_tested(site)
    open_view(page, site.address(f"concepts?concept={concept}"), "concept-benchmarks")
    last = page.get_by_test_id("concept-examples").get_by_role("button", name="Open item").last
    last.scroll_into_view_if_needed()
    page.get_by_test_id("example").last.wait_for(state="attached")
    page.wait_for_function(f"({PLACE})() > 0")
    for way in ("button", "key"):
        page.wait_for_timeout(200)
        before = page.evaluate(PLACE)
        last.click()
        page.get_by_test_id("item-title").wait_for()
        assert page.evaluate(PLACE) == 0
        if way == "button":
            page.get_by_role("button", name=f"Back to concept {concept}").click()
        else:
            page.keyboard.press("Escape")
        page.get_by_test_id("item-title").wait_for(state="detached")
        assert f"concept={concept}" in page.url
        assert abs(page.evaluate(PLACE) - before) <= 1
    page.keyboard.press("Escape")
    page.get_by_test_id("panel").wait_for(state="detached")


def test_another_concept_begins_at_its_top(site, page):
    open_view(page, site.address(f"concepts?concept={much_tested(site)}"), "concept-benchmarks")
    page.get_by_test_id("panel").evaluate("panel => panel.scrollTo(0, 400)")
    page.wait_for_function(f"({PLACE})() > 0")
    page.goto(site.address("concepts?concept=1"))
    page.wait_for_function(f"({PLACE})() === 0")


@pytest.mark.parametrize(
    "view, opens",
    [("concepts", "benchmark-picker"), ("map", "map-theme"), ("map", "map-status"), ("items", "items-outcome")],
)
def test_escape_closes_a_list_before_the_panel(site, page, view, opens):
    open_view(page, site.address(f"{view}?concept={much_tested(site)}"), "concept-title")
    page.get_by_test_id(opens).click()
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("option").first.wait_for(state="hidden")
    assert page.get_by_test_id("panel").is_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("panel").wait_for(state="detached")


def test_a_concept_in_the_benchmark_that_is_looked_at(site, page):
    names = [entry["name"] for entry in site.run.manifest["benchmarks"]]
    within = site.run.concept_benchmarks.filter(pl.col("performance_status").is_in(["weak", "strong", "typical"]))
    row = within.join(site.concepts.filter("ranked").select("concept"), on="concept", how="semi").row(0, named=True)
    suite = site.concepts.row(row["concept"], named=True)
    view = f"concepts?benchmark={quote(row['benchmark'], safe='')}&concept={row['concept']}"
    open_view(page, site.address(view), "concept-benchmarks")
    said = page.get_by_test_id("concept-verdict").inner_text()
    assert said.startswith("In ")
    assert close(re.search(r"gap (?:to [^:]*: )?([−+.\d]+)", said, re.IGNORECASE)[1], row["gap"], 2)
    whole = page.get_by_test_id("concept-suite").inner_text()
    assert whole.startswith(f"Over all {len(names)} benchmarks: ")
    assert f"active in {suite['support']:,} items" in whole
    facts = page.get_by_test_id("concept-numbers").inner_text()
    assert f"{row['support']} item" in facts
    marked = page.get_by_test_id("concept-benchmarks").locator("tr[aria-current=true]")
    assert marked.count() == 1
    assert number(marked.locator("td").nth(4).inner_text()) == row["support"]


@pytest.mark.parametrize("opens", ["columns", "more-filters"])
@pytest.mark.parametrize("height", [900, 520])
def test_a_popover_never_makes_the_page_scroll(site, new_page, opens, height):
    page = new_page(1440, height)
    open_view(page, site.address("concepts"), "concept-grid")
    page.get_by_test_id(opens).click()
    box = page.locator(".popover").first
    box.wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    place = box.bounding_box()
    assert place["y"] >= 0
    assert place["y"] + place["height"] <= height
    # The last of it can be reached.
    last = box.locator("button, input").last
    last.scroll_into_view_if_needed()
    assert last.bounding_box()["y"] < height


def test_kinds_are_explained_where_they_are_chosen(site, page):
    open_view(page, site.address("concepts"), "concept-grid")
    page.get_by_test_id("more-filters").click()
    text = page.locator(".popover").first.inner_text()
    for word in ("of all tokens", "outside the item’s own text", "one and the same token"):
        assert word in text


def test_weak_themes_come_first_and_look_it(site, page):
    open_view(page, site.address("overview"), "theme-bars")
    rows = page.get_by_test_id("theme-bars").locator("li")
    statuses = [row.get_attribute("data-status") for row in rows.all()]
    assert statuses == sorted(statuses, key=lambda status: status != "weak")
    for row, status in zip(rows.all(), statuses, strict=True):
        bar = row.locator(".interval-bar")
        assert bar.locator(".range").count() == 1
        assert ("weak" in (bar.get_attribute("class") or "").split()) == (status == "weak")
