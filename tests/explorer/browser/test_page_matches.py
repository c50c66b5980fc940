"""Lists that were compared with a run, in a real browser: entries with outcomes, and an entry's page with examples."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from explorer_extras import POINT
from page_helpers import open_view
from test_explore_cli import exploring
from test_page_access import AXE, faults, go_to, serious

import competency_gaps as cg
from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs
from competency_gaps.explorer.parts import Parts
from competency_gaps.text import visible

VIEWS = {"matches": "entries", "matches?list=1": "entries", "entry/0": "entry-concepts", "entry/3": "entry-example"}


class Lists:
    """An explorer of a run that was compared with two lists."""

    def __init__(self, url: str, key: str, run: cg.Run) -> None:
        self.url, self.key, self.run = url, key, run
        self.lists = json.loads(Parts(run, key=key).read("matches.json"))["lists"]

    def address(self, view: str) -> str:
        """Address of a view."""
        return f"{self.url}#/{self.key}/{view}"


@pytest.fixture(scope="module")
def site(listed) -> Iterator[Lists]:
    (entry,) = open_runs([listed.run], listed.dictionary)
    with exploring(str(listed.run), "--port", "0", "--dictionary", str(listed.dictionary)) as (_, port, _):
        yield Lists(f"http://127.0.0.1:{port}/", entry.key, cg.open_run(listed.run))


def test_entries_stand_with_their_outcomes_and_lead_to_their_pages(site, page):
    open_view(page, site.address("matches?list=1"), "entries")
    rows = page.get_by_test_id("entries").locator("tbody tr")
    assert rows.evaluate_all("rows => rows.map((row) => row.dataset.entry)") == ["2", "3"]
    texts = rows.all_inner_texts()
    assert "recovered as weak" in texts[0] and "not matched" in texts[1]
    rates = page.get_by_test_id("list-rates").locator("tbody tr").all_inner_texts()
    for rate, text in zip(site.lists[1]["rates"], rates, strict=True):
        assert f"{rate['count']} of {rate['of']}" in text
    unnamed = page.get_by_test_id("unnamed-count").inner_text()
    assert unnamed.startswith(f"{len(site.lists[1]['unnamed'])} of {site.lists[1]['weak_concepts']} weak concepts")
    page.get_by_test_id("entry-outcomes").get_by_text("not matched").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=entries] tbody tr').length === 1")
    page.get_by_test_id("entries").get_by_role("link", name="odd").click()
    page.get_by_test_id("entry-title").wait_for()
    assert page.get_by_test_id("entry-title").inner_text() == "odd"
    assert page.get_by_test_id("menu-matches").get_attribute("aria-current") == "page"


def test_a_foreign_entry_is_read_and_does_nothing(site, page):
    open_view(page, site.address("entry/0"), "entry-example")
    assert page.get_by_test_id("entry-title").inner_text() == visible(POINT)
    assert page.locator("[data-testid=entry] img, [data-testid=entry] script").count() == 0
    (examples,) = json.loads(Parts(site.run, key="k").read("entry/0.json"))
    shown = page.get_by_test_id("entry-example").first.inner_text()
    start, end = examples["examples"][0]["own"]
    assert visible(examples["examples"][0]["text"][start:end])[:40] in shown


def test_a_chosen_concept_colours_the_tokens_on_which_it_is_active(site, page):
    open_view(page, site.address("entry/2"), "entry-concepts")
    marks = page.get_by_test_id("entry-example").first.locator("mark.token")
    assert [text.strip() for text in marks.all_inner_texts()] == ["Roman"] * marks.count() and marks.count() > 0
    pressed = page.get_by_test_id("entry-concepts").locator("[aria-pressed=true]")
    assert pressed.count() == 1
    pressed.click()
    page.mouse.move(0, 0)
    page.wait_for_function("document.querySelectorAll('[data-testid=entry-example] mark.token').length === 0")
    page.get_by_test_id("entry-example").first.get_by_role("button", name="Open item").click()
    page.get_by_test_id("item-title").wait_for()


def test_the_views_are_accessible_and_nothing_is_cut_off(site, page):
    if AXE.is_file():
        assert not serious(page, site, VIEWS)
    wrong = []
    for view, test_id in VIEWS.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        go_to(page, site, view, test_id)
        wrong += faults(page, view)
    assert not wrong


def test_a_link_to_what_is_not_there_says_so(site, page):
    for view in ("entry/77", "entry/x", "entry", "matches?list=9"):
        open_view(page, site.address(view), "failed")
    open_view(page, site.address("matches?outcome=odd"), "odd-address")


def test_an_exported_page_shows_the_same_and_a_redacted_one_no_texts(listed, page, tmp_path):
    opened = open_runs([listed.run], listed.dictionary)
    for redact in (False, True):
        export(opened, tmp_path / str(redact), redact=redact)
        url = (tmp_path / str(redact) / "index.html").as_uri()
        page.goto("about:blank")
        open_view(page, f"{url}#/{opened[0].key}/matches", "entries")
        assert ("<U+202E>" in page.get_by_test_id("entries").inner_text()) is not redact
        open_view(page, f"{url}#/{opened[0].key}/entry/0", "examples-absent" if redact else "entry-example")
        assert page.get_by_test_id("entry-title").inner_text() == ("Entry 1" if redact else visible(POINT))
        assert ("Roman" in page.get_by_test_id("entry").inner_text()) is not redact


def test_a_run_that_was_compared_with_no_list_has_no_such_view(hostile, page, tmp_path):
    opened = open_runs([hostile.run])
    export(opened, tmp_path / "page")
    url = (tmp_path / "page" / "index.html").as_uri()
    open_view(page, f"{url}#/{opened[0].key}/matches", "odd-address")
    assert "cgaps match" in page.get_by_test_id("odd-address").inner_text()
    assert page.get_by_test_id("menu-matches").count() == 0
