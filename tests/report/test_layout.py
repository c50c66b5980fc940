"""The page in a browser: nothing is cut, hidden or overprinted on a desk, on paper and on a telephone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from test_theme_report import with_themes

from competency_gaps.report import write_report

CHROMIUM = os.environ.get("CGAPS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# As root Chromium has no sandbox; without the others it looks for hosts of its own.
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
CHECK = Path(__file__).with_name("layout.js").read_text(encoding="utf-8")
OPEN_ALL = "for (const one of document.querySelectorAll('details')) one.open = true"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: install it, or name it in CGAPS_CHROMIUM")


@pytest.fixture(scope="module")
def report(make_run, tmp_path_factory):
    """A report with long names, themes, trends and enough benchmarks for a crowded figure."""
    made = with_themes(make_run(benchmarks=10, per=40, n_concepts=500), name="theme of questions about {}")
    trend = {"covariate": "length", "first": 0.9, "last": 0.1, "categories": None, "share": 0.3, "p": 1e-6}
    own = {"tested": 50, "weak": 20, "strong": 10, "most_stand_out": True, "shared_reason": "length"}
    own["trends"] = [{**trend, "controlled": True}]
    made.manifest["evidence"]["benchmarks"] = {"calendar": own}
    return write_report(made, tmp_path_factory.mktemp("layout") / "report.html", top=8, examples=2)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, report):
    """Opens the report at a width; the page must leave the console without errors."""
    faults, pages = [], []

    def make(width, medium="screen"):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.emulate_media(media=medium)
        page.goto(report.as_uri())
        return page

    yield make
    for page in pages:
        page.close()
    assert faults == []


@pytest.mark.parametrize(("width", "medium"), [(1440, "screen"), (794, "print"), (794, "screen"), (390, "screen")])
def test_nothing_is_cut_or_overprinted(opened, width, medium):
    page = opened(width, medium)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CHECK) == []


def test_the_check_sees_what_is_cut_and_overprinted(opened):
    page = opened(1440)
    page.add_style_tag(content="td.num{max-width:30px}h1{white-space:nowrap;position:relative;left:1000px}")
    page.add_style_tag(content="svg.figure text{transform:none}")
    page.evaluate("for (const text of document.querySelectorAll('svg.figure text')) text.setAttribute('y', 30)")
    kinds = {fault.split(":")[0] for fault in page.evaluate(CHECK)}
    assert {"off the page", "wider than its cell", "overprinted"} <= kinds


def test_headers_link_to_the_glossary(opened):
    page = opened(1440)
    page.click("#weakest th:has-text('plain gap') a.term")
    assert page.evaluate("location.hash") == "#term-plain_gap"
    assert page.locator("dt:target").inner_text() == "plain gap"


def test_a_sentence_of_the_answer_leads_to_its_finding(opened):
    page = opened(390)
    number = page.locator(".answer li").last.get_attribute("data-number")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = false")
    page.click(".answer li:last-child a")
    page.wait_for_function(f"document.getElementById('finding-{number}').open")
    assert page.locator(f"#finding-{number} .item").first.is_visible()
