"""Both colour schemes, narrow windows, and what axe-core finds, view by view."""

from __future__ import annotations

from pathlib import Path

import pytest

AXE = Path(__file__).parents[3] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = {
    "overview": "findings",
    "overview?benchmark=sums": "scores",
    "oops?benchmark=77": "odd-address",
    "findings": "finding-list",
    "finding/0": "finding-sides",
    "finding/77": "failed",
    "concepts?groups=1": "groups",
    "items?finding=0&length=2": "items-grid",
    "concepts?glossary=gap": "glossary",
    "concepts": "concept-grid",
    "concepts?kinds=all&only=1": "concept-grid",
    "map": "map-canvas",
    "items": "items-grid",
    "correlation": "correlation-sentence",
    "suggestions": "suggestion",
    "chat": "chat-off",
    "card": "run-card",
    "concepts?concept=2": "concept-benchmarks",
    "items?item=1": "item-title",
    "concepts?face=benchmark&benchmark=sums": "concept-grid",
}
SIZES = ((1440, 900), (1440, 500), (700, 760), (390, 760), (380, 760))
SERIOUS = ("serious", "critical")
SETTLED = """scheme => document.documentElement.dataset.mantineColorScheme === scheme
  && document.getAnimations().every((one) => one.playState !== 'running')"""
"""The page has taken on a colour scheme, and no colour is on its way to another."""
TOO_WIDE = """() => [...document.querySelectorAll('main, .panel, .top')]
  .filter((one) => one.offsetParent !== null && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.className || one.tagName} ${one.scrollWidth}`)"""


def go_to(page, site, view: str, test_id: str) -> None:
    """Go on to a view as a link does: the page is loaded once."""
    if page.url == "about:blank":
        page.goto(site.address("overview"))
        page.get_by_test_id("findings").wait_for()
    page.evaluate("address => { location.hash = address }", site.address(view).split("#", 1)[1])
    page.get_by_test_id(test_id).first.wait_for()
    page.wait_for_timeout(300)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: npm ci in frontend/")
def test_axe_finds_nothing_serious(site, new_page):
    if site.mode == "static":
        pytest.skip("the same page as the served one")
    page = new_page()
    views = {**VIEWS, f"compare?with={site.keys[1]}": "compare-table"}
    found = serious(page, site, views)
    assert not found, "\n".join(found)


def serious(page, site, views: dict[str, str]) -> list[str]:
    """What axe-core finds serious in views, in both colour schemes."""
    found = []
    for view, test_id in views.items():
        page.emulate_media(color_scheme="light")
        go_to(page, site, view, test_id)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for scheme, rules in (("light", "{}"), ("dark", "{runOnly: ['color-contrast', 'link-in-text-block']}")):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(SETTLED, arg=scheme)
            result = page.evaluate(f"axe.run(document, {{...{rules}, resultTypes: ['violations'], preload: false}})")
            for one in result["violations"]:
                if one["impact"] in SERIOUS:
                    where = [node["html"][:160] for node in one["nodes"][:3]]
                    found.append(f"{view}, {scheme}: {one['id']} ({one['help']}): {where}")
    return found


def test_a_window_cuts_nothing_off_and_views_scroll_in_their_place(site, new_page):
    if site.mode == "static":
        pytest.skip("the same page as the served one")
    page = new_page()
    wrong = []
    for view, test_id in {**VIEWS, f"compare?with={site.keys[1]}": "compare-table"}.items():
        # Some of a view is decided when it opens, so it opens narrow and wide; both are then looked at in every size.
        for opened_at in (SIZES[0], SIZES[-1]):
            page.set_viewport_size(dict(zip(("width", "height"), opened_at, strict=True)))
            go_to(page, site, "overview", "findings")
            go_to(page, site, view, test_id)
            wrong += faults(page, view)
    assert not wrong, "\n".join(wrong)


def faults(page, view):
    """What is cut off, or scrolls as a whole, in windows of several sizes."""
    wrong = []
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(60)
        over = page.evaluate(TOO_WIDE)
        if over or page.evaluate("document.documentElement.scrollWidth > innerWidth + 1"):
            wrong.append(f"{view} at {width}: {over}")
        if page.evaluate("document.documentElement.scrollHeight > innerHeight + 1"):
            wrong.append(f"{view} at {width} x {height}: the page scrolls")
    return wrong


def test_pickers_fold_in_a_narrow_window(site, new_page):
    page = new_page(width=380, height=760)
    page.goto(site.address("suggestions"))
    page.get_by_test_id("suggestion").first.wait_for()
    assert not page.get_by_test_id("benchmark-picker").is_visible()
    assert page.locator("main").bounding_box()["y"] < 120
    place = page.get_by_test_id("menu-suggestions").bounding_box()
    assert place["x"] >= 0 and place["x"] + place["width"] <= 380
    page.get_by_test_id("fold").click()
    assert page.get_by_test_id("benchmark-picker").is_visible()


def test_a_narrow_window_shows_first_what_one_looks_for(site, new_page):
    page = new_page(width=400, height=860)

    def seen(place) -> bool:
        place.wait_for()
        box = place.bounding_box()
        return box["x"] >= 0 and box["x"] + box["width"] <= 400

    go_to(page, site, "concepts", "concept-grid")
    assert seen(page.get_by_test_id("concept-grid").locator('.ag-header-cell[col-id="gap"]'))
    assert page.get_by_test_id("fold").inner_text().startswith("Model gaps")
    assert page.get_by_test_id("run-picker").get_attribute("value") in page.get_by_test_id("fold").inner_text()
    go_to(page, site, "items?face=benchmark", "items-grid")
    assert seen(page.get_by_test_id("items-grid").locator('.ag-header-cell[col-id="excerpt"]'))
    assert seen(page.get_by_test_id("items-grid").locator('[row-index="0"] [col-id="excerpt"]'))
    assert page.get_by_test_id("fold").inner_text().startswith("Benchmark gaps")


def test_the_colour_scheme_is_the_readers(site, new_page):
    def ground(page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light, dark = new_page(scheme="light"), new_page(scheme="dark")
    for page in (light, dark):
        page.goto(site.address("overview"))
        page.get_by_test_id("findings").wait_for()
    assert ground(light) != ground(dark)
    was = ground(dark)
    dark.get_by_test_id("colour-scheme").click()
    assert ground(dark) == ground(light) != was
    dark.reload()
    dark.get_by_test_id("findings").wait_for()
    assert ground(dark) == ground(light)
