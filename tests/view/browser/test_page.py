"""Journeys through the served page: what it shows equals the run's tables, and leads on."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

import polars as pl
import pytest
from explorer_runs import HUGE, NAMES, REPEATED
from page_helpers import (
    AXE,
    SECOND,
    await_rows,
    cells,
    close,
    concept_of,
    cut_off,
    number,
    open_view,
    serious,
)

from competency_gaps.findings.answer import slice_table
from competency_gaps.findings.coverage import coverage
from competency_gaps.findings.kept import answer
from competency_gaps.slices import CONCEPTS
from competency_gaps.util.text import visible
from competency_gaps.view import words

GRID = "concept-grid"
ITEMS = "item-grid"
SHOWN = 8


def ranked(site) -> pl.DataFrame:
    return site.run.concepts.filter("ranked")


def test_from_the_answer_to_a_slice_and_its_items(site, page):
    made = answer(site.run)
    open_view(page, site.address("answer"), "headline")
    assert page.get_by_test_id("headline").inner_text() == visible(words.headline(made))
    lines = page.get_by_test_id("finding")
    assert lines.count() == len(words.shown(made))
    for line, finding in zip(lines.all(), words.shown(made), strict=True):
        text = line.inner_text()
        assert words.points_of(finding) in text and words.size(finding) in text and finding.belief in text
    lines.first.get_by_role("link").click()
    page.get_by_test_id("slice-gap").wait_for()
    first = words.shown(made)[0]
    assert page.get_by_test_id("slice-name").inner_text() == visible(first.name)
    assert words.believed(first) in page.get_by_test_id("slice-believed").inner_text()
    again = page.get_by_test_id("slice-again").inner_text()
    assert words.found_again(first).lower() in again.lower()
    page.get_by_test_id("slice-example").first.locator(".prompt").first.wait_for()
    for head in page.locator("[data-testid=sides] .example-head").all():
        assert "score" in head.inner_text()
    page.get_by_test_id("slice-items").click()
    page.get_by_test_id(ITEMS).wait_for()
    page.get_by_text("slice " + str(first.slice)).first.wait_for()


def test_the_table_sorts_searches_and_filters_as_its_link_does(site, page):
    open_view(page, site.address("concepts?sort=-support&cols=association,chi_model,n_eff,support"), GRID)
    expected = ranked(site).sort("support", "concept", descending=[True, False]).head(SHOWN)
    assert [concept_of(text) for text in cells(page, GRID, "label", SHOWN)] == expected["concept"].to_list()
    points = expected.with_columns(pl.col("association") * 100)
    for column, digits in (("association", 1), ("chi_model", 2), ("n_eff", 1), ("support", 0)):
        for text, value in zip(cells(page, GRID, column, SHOWN), points[column], strict=True):
            assert close(text, value, digits), (column, text, value)
    page.get_by_test_id("filter-status").click()
    page.get_by_role("option", name="typical", exact=True).click()
    typical = ranked(site).filter(pl.col("performance_status") == "typical")
    await_rows(page, GRID, typical.height)
    names = typical.with_columns(name=pl.coalesce("label", "peak_token", pl.lit("")).str.to_lowercase())
    page.get_by_test_id("concept-search").fill("text")
    wanted = names.filter(pl.col("name").str.contains("text", literal=True)).height
    await_rows(page, GRID, wanted)
    page.reload()
    page.get_by_test_id(GRID).wait_for()
    await_rows(page, GRID, wanted)
    page.get_by_test_id("clear-filters").click()
    await_rows(page, GRID, ranked(site).height)
    unranked = site.run.concepts.filter(~pl.col("ranked") & pl.col("alive"))["concept"][0]
    page.get_by_test_id("concept-search").fill(str(unranked))
    page.get_by_text(f"concept {unranked}, found by its number,").wait_for()
    open_view(page, site.address("concepts?kinds=all&sort=-chi_model"), GRID)
    await_rows(page, GRID, site.run.concepts.height)
    page.get_by_test_id(GRID).locator("[col-id=label]").nth(1).click()
    page.keyboard.press("Control+ArrowDown")
    last = page.locator(f'[row-index="{site.run.concepts.height - 1}"] [col-id="chi_model"]')
    last.wait_for()
    assert last.inner_text().strip() == "N/A", "what is undefined comes last"


def test_the_table_asks_about_benchmarks_and_within_one(site, page):
    open_view(page, site.address("concepts?face=benchmark"), GRID)
    missing = ranked(site).filter("missing")["concept"].to_list()
    assert sorted(concept_of(text) for text in cells(page, GRID, "label", len(missing))) == sorted(missing)
    delayed = []
    page.route("**/concepts/1.parquet", lambda route: delayed.append(route), times=1)
    with page.expect_request("**/concepts/1.parquet"):
        open_view(page, site.address(f"concepts?{SECOND}&sort=-support&cols=support"), GRID)
    heading = page.get_by_role("heading", name=NAMES[1])
    page.locator(".grid[aria-busy=true]").wait_for()
    assert not heading.is_visible(), "a heading never stands above the numbers of another benchmark"
    delayed.pop().continue_()
    heading.wait_for()
    page.locator(".grid[aria-busy=true]").wait_for(state="detached")
    rows = site.run.concept_benchmarks.filter(pl.col("benchmark") == NAMES[1])
    rows = rows.join(ranked(site).select("concept"), on="concept").sort("support", descending=True)
    assert [number(text) for text in cells(page, GRID, "support", SHOWN)] == rows["support"].head(SHOWN).to_list()


def test_a_download_holds_what_is_shown_and_runs_nothing(site, page):
    wanted = ranked(site).filter(pl.col("performance_status").is_in(["failure", "typical"]))
    chosen = "status=failure,typical&sort=association&cols=association,n_eff"
    open_view(page, site.address(f"concepts?{chosen}"), GRID)
    await_rows(page, GRID, wanted.height)
    page.wait_for_timeout(500)
    with page.expect_download() as started:
        page.get_by_test_id("download-csv").click()
    rows = list(csv.DictReader(io.StringIO(started.value.path().read_text(encoding="utf-8-sig"))))
    assert sorted(int(row["concept"]) for row in rows) == wanted["concept"].to_list()
    associations = dict(wanted["concept", "association"].iter_rows())
    assert all(abs(float(row["association"]) - associations[int(row["concept"])]) < 1e-6 for row in rows)
    open_view(page, site.address("concepts?kinds=all"), GRID)
    await_rows(page, GRID, site.run.concepts.height)
    with page.expect_download() as started:
        page.get_by_test_id("download-csv").click()
    labels = site.run.concepts["label"].drop_nulls()
    assert labels.str.contains(r"^\s*[=+@-]").any(), "the run has a label that is a formula"
    for row in csv.DictReader(io.StringIO(started.value.path().read_text(encoding="utf-8-sig"))):
        assert not re.match(r"[\s\x00-\x1f]*[=+\-@＝＋－＠]", row["label"]), row


def test_by_keyboard_alone(site, page):
    open_view(page, site.address("concepts?sort=association"), GRID)
    listed = [concept_of(text) for text in cells(page, GRID, "label", 4)]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('[role=columnheader]') !== null"):
            break
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_test_id("concept-title").wait_for()
    assert f"concept={listed[1]}" in page.url
    page.wait_for_function("document.activeElement.closest('[data-testid=panel]') !== null")
    page.get_by_test_id("benchmark-picker").click()
    page.keyboard.press("Escape")
    assert page.get_by_test_id("panel").is_visible(), "an open list takes Escape before the panel"
    page.keyboard.press("Escape")
    page.get_by_test_id("panel").wait_for(state="detached")
    page.wait_for_function("document.activeElement.closest('[row-index=\"1\"]') !== null")
    page.get_by_test_id("region").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.includes('region=')")
    region = int(re.search(r"region=(\d+)", page.url)[1])
    inside = [row for row in ranked(site)["region"] if row is not None and region in path_of(site.run, row)]
    await_rows(page, GRID, len(inside))


def path_of(run, region: int | None) -> list[int]:
    """A region and those that hold it."""
    return [] if region is None else [region, *path_of(run, run.regions["parent"][region])]


def gaps_of(run, family: str) -> dict[int, tuple[str, str]]:
    """By number, each slice of a family with its name and its gap as it is written."""
    rows = slice_table(run).filter(family=family).select("slice", "name", "gap", "low", "high").iter_rows()
    written = "{} ({})".format
    return {
        number: (name, "N/A" if gap is None else written(words.signed_points(gap), words.interval(low, high)))
        for number, name, gap, low, high in rows
    }


def test_a_concept_in_full_and_back_from_an_item(site, page):
    gaps = gaps_of(site.run, "concepts")
    failing = site.run.concepts.filter(pl.col("performance_status") == "failure")["concept"]
    concept = next(number for number in failing if gaps[CONCEPTS + number][1] != "N/A")
    open_view(page, site.address(f"concepts?concept={concept}"), "concept-benchmarks")
    page.get_by_test_id("concept-slice").wait_for()
    assert gaps[CONCEPTS + concept][1].replace(" (", " points (") in page.get_by_test_id("concept-slice").inner_text()
    own = site.run.concept_benchmarks.filter((pl.col("concept") == concept) & (pl.col("support") > 0))
    own = own.with_columns(pl.col("association") * 100)
    for line, row in zip(
        page.get_by_test_id("concept-benchmarks").locator("tbody tr").all(), own.iter_rows(named=True), strict=True
    ):
        shown = [cell.inner_text() for cell in line.locator("td").all()]
        assert close(shown[0], row["association"], 1) and close(shown[1], row["chi_model"], 2)
        assert number(shown[3]) == row["support"]
    row = site.run.concepts.row(concept, named=True)
    assert f"{row['support']} items" in page.get_by_test_id("concept-numbers").inner_text()
    worst = site.run.concept_items(concept, order="worst", limit=5)
    example = page.get_by_test_id("concept-examples").locator("> div").first.get_by_test_id("example").first
    example.locator("mark.token").first.wait_for()
    assert number(example.locator("strong").inner_text()) == worst["score"][0]
    last = page.get_by_test_id("concept-examples").get_by_role("button", name="Open item").last
    last.scroll_into_view_if_needed()
    place = "[...document.querySelectorAll('.panel-page')].map((part) => part.scrollTop)"
    (before,) = page.evaluate(place)
    assert before > 0
    last.click()
    page.get_by_test_id("item-text").locator("mark.token").first.wait_for()
    assert page.evaluate(place)[-1] == 0
    page.keyboard.press("Escape")
    page.get_by_test_id("item-title").wait_for(state="detached")
    assert f"concept={concept}" in page.url and page.evaluate(place) == [before]
    open_view(page, site.address(f"concepts?{SECOND}&concept={concept}"), "concept-suite")
    assert page.get_by_test_id("concept-verdict").inner_text().startswith("In ")


def test_items_are_found_filtered_and_shown(site, page):
    items = site.run.items.with_row_index("row")
    once = items.unique("cluster").height
    open_view(page, site.address("items"), ITEMS)
    await_rows(page, ITEMS, once)
    assert set(cells(page, ITEMS, "score", SHOWN)) == {"0.00"}
    page.get_by_test_id("items-outcome").click()
    page.get_by_role("option", name="Unscored").click()
    await_rows(page, ITEMS, items.filter(pl.col("score").is_null() & pl.col("excluded").is_null()).height)
    page.get_by_test_id("items-clear").click()
    page.get_by_test_id("items-search").fill("PRICES")
    texts = [pl.col(name).fill_null("").str.to_lowercase() for name in ("text", "response", "answer", "item_id")]
    hit = items.filter(pl.any_horizontal([text.str.contains("prices", literal=True) for text in texts]))
    assert 0 < hit.height < once
    await_rows(page, ITEMS, hit.height)
    open_view(page, site.address("items?benchmark=sums&sort=-repeats"), ITEMS)
    page.get_by_test_id(ITEMS).get_by_role("button", name=f"{len(REPEATED)} items").click()
    await_rows(page, ITEMS, len(REPEATED))
    open_view(page, site.address(f"items?{SECOND}&group=even"), ITEMS)
    await_rows(page, ITEMS, items.filter((pl.col("benchmark") == NAMES[1]) & (pl.col("group") == "even")).height)
    item = items.filter(pl.col("choices").is_not_null() & pl.col("score").is_not_null()).row(0, named=True)
    open_view(page, site.address(f"items?item={item['row']}"), "choices")
    lines = page.get_by_test_id("choices").locator("li").all_inner_texts()
    assert ["right" in line for line in lines] == [i == item["answer_index"] for i in range(len(lines))]
    longest = items.sort(pl.col("text").str.len_chars(), descending=True)["row"][0]
    open_view(page, site.address(f"items?item={longest}"), "item-text")
    page.get_by_text("characters after").wait_for()
    assert len(page.get_by_test_id("item-text").inner_text()) < 20_000 < HUGE
    page.get_by_test_id("panel").get_by_role("button", name="Show more").first.click()
    page.wait_for_function("document.querySelector('[data-testid=item-text]').innerText.length > 12000")


COLOURED = """() => [...document.querySelectorAll('[data-testid=item-text] mark[style*=background]')]
  .map((mark) => mark.innerText.trim()).filter((token) => token)"""
"""Tokens of the opened item that are coloured, without those blanks before its own text that are shown apart."""


def test_each_concept_of_an_item_colours_its_tokens(site, page):
    first = 1
    rows = site.run.by_concept.column(first).item.tolist()
    row = min(rows, key=lambda row: len(site.run.items["text"][row]))
    open_view(page, site.address(f"items?item={row}&concept={first}"), "item-concepts")
    names = page.get_by_test_id("item-concepts").locator("button[aria-pressed]").all_inner_texts()

    def words(concept: int) -> list[str]:
        (tokens,) = site.run.token_activations(concept, [row])
        text = site.run.items["text"][row]
        return [text[start:end].strip() for start, end in zip(tokens.start, tokens.end, strict=True)]

    second = next(concept for concept in map(concept_of, names) if words(concept) != words(first))
    coloured = f"words => JSON.stringify(({COLOURED})()) === JSON.stringify(words)"
    page.wait_for_function(coloured, arg=words(first))
    other = page.get_by_test_id("item-concepts").get_by_role("button", name=re.compile(rf"^{second}\b"))
    other.hover()
    page.wait_for_function(coloured, arg=words(second))
    page.get_by_test_id("item-title").hover()
    page.wait_for_function(coloured, arg=words(first))
    other.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copy link").focus()
    page.wait_for_function(coloured, arg=words(second))


def test_the_atlas_counts_leads_on_and_zooms(site, page):
    located = site.run.item_regions
    inside = located.filter(~pl.col("unlike"))["region"].drop_nulls().to_list()
    counts = Counter(held for region in inside for held in path_of(site.run, region))
    kept = located["region"].count()
    open_view(page, site.address("atlas?colour=region"), "atlas-legend")
    shown = "count => document.querySelector('[data-testid=atlas-canvas]').dataset.points === String(count)"
    page.wait_for_function(shown, arg=kept)
    rows = page.get_by_test_id("region-parts").locator("tbody tr")
    coarse = site.run.regions.filter(pl.col("level") == 1)
    assert rows.count() == coarse.height
    gaps = dict(gaps_of(site.run, "regions").values())
    page.get_by_test_id("region-parts").get_by_text("gap").wait_for()
    for row in rows.all():
        name = row.locator("th").inner_text()
        assert number(row.locator("td").first.inner_text()) == counts[coarse["name"].to_list().index(name)]
        assert row.locator("td").last.inner_text() == gaps.get(name, "").partition(" (")[0]
    assert any(" to " in gaps.get(name, "") for name in coarse["name"])
    largest = max(range(coarse.height), key=counts.__getitem__)
    rows.first.get_by_role("button").click()
    page.get_by_test_id("region-name").wait_for()
    assert page.get_by_test_id("region-name").inner_text() == coarse["name"][largest]
    assert f"; {counts[largest]:,} items)" in page.get_by_test_id("region-sentence").inner_text()
    canvas = page.locator("canvas")
    box = canvas.bounding_box()
    # A point of the region that is chosen opens its item; the name of a region chooses it.
    known = located.filter(pl.col("x").is_not_null())
    across, upwards = ([*known[axis], *site.run.regions[axis]] for axis in ("x", "y"))
    row = next(row for row, region in enumerate(located["region"]) if region and largest in path_of(site.run, region))
    ends = [(min(values), max(values)) for values in (across, upwards)]
    x, y = (
        34 + (located[axis][row] - low) / (high - low) * (box[size] - 68)
        for axis, size, (low, high) in zip("xy", ("width", "height"), ends, strict=True)
    )
    canvas.hover(position={"x": x, "y": box["height"] - y})
    page.locator(".plane-tip").wait_for()
    pixels = "document.querySelector('canvas').toDataURL()"
    page.wait_for_timeout(200)
    before = page.evaluate(pixels)
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function(f"before => {pixels} !== before", arg=before)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(f"before => {pixels} === before", arg=before)
    page.get_by_test_id("region-items").get_by_role("button").first.click()
    page.get_by_test_id("item-title").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("link", name=re.compile(r"^All .* items?$")).click()
    page.get_by_test_id(ITEMS).wait_for()
    page.get_by_text("region " + coarse["name"][largest]).wait_for()
    for colour in ("outcome", "coverage"):
        open_view(page, site.address(f"atlas?colour={colour}&region={largest}"), "atlas-legend")


def test_the_overlap_of_benchmarks_is_that_of_the_tables(site, page):
    open_view(page, site.address("benchmarks"), "overlap")
    overlap = site.run.overlap.filter((pl.col("benchmark_a") == NAMES[0]) & (pl.col("benchmark_b") == NAMES[1]))
    heat = page.get_by_test_id("overlap")
    assert close(heat.locator("tbody tr").nth(0).locator("td").nth(1).inner_text(), overlap["jaccard"][0], 2)
    page.locator('[data-cell="1/0"]').focus()
    page.keyboard.press("Enter")
    shown = page.get_by_test_id("overlap-pair").inner_text()
    assert f"over {overlap['n_concepts'][0]:,} concepts" in shown
    assert close(shown.partition("performance")[2], overlap["spearman"][0], 2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function('decodeURIComponent(location.hash).includes("y==cmd|\'")')


def test_two_runs_side_by_side(site, page):
    open_view(page, site.address(f"compare?with={site.keys[1]}"), "compare-regions")
    rows = page.get_by_test_id("compare-regions").locator("tbody tr")
    for row in rows.all():
        *_, name = row.locator("th").inner_text().split(" › ")
        region = site.run.regions["name"].to_list().index(name)
        for cell, run in zip(row.locator("td").all(), (site.run, site.other), strict=False):
            assert close(cell.inner_text(), 100 * coverage(run).whole.shares[region], 1)
    assert "record the same settings" in page.get_by_test_id("compare-settings").inner_text()
    assert page.get_by_test_id("compare-benchmarks").locator("tbody tr").count() == len(NAMES)


def test_hostile_texts_stay_texts_and_odd_addresses_say_so(site, page):
    for view in (
        "overview",
        "concepts?kinds=all",
        "items?item=0",
        "benchmarks",
        "trust",
        "answer",
        "coverage",
        "slice/0",
    ):
        open_view(page, site.address(view), "menu-answer")
        page.locator("h1").wait_for()
        page.wait_for_timeout(300)
        assert page.locator("#app img, #app iframe, #app object, #app script").count() == 0, view
    row = next(i for i, text in enumerate(site.run.items["text"]) if "\u202e" in text)
    open_view(page, site.address(f"items?item={row}"), "item-text")
    page.get_by_test_id("item-text").get_by_text("U+202E").first.wait_for()
    assert "\u202e" not in page.locator("body").inner_text()
    for view, sentence in {
        "concepts?concept=99999999": "There is no such concept",
        "items?item=99999999": "There is no item 99999999",
        "slice/99999": "There is no slice 99999",
        "oops?benchmark=77": "There is no view “oops”",
        "items?benchmark=__proto__": "There is no benchmark “__proto__”",
        "models": "cgaps score adds others",
    }.items():
        open_view(page, site.address(view), "menu-answer")
        page.get_by_text(sentence).first.wait_for()
    for word in ("__proto__", "toString"):
        open_view(page, site.address(f"concepts?sort={word}&cols={word}&region={word}&status={word}"), GRID)
    page.goto(f"{site.url}#/no-such-run/concepts?status=%E0%A4%A")
    page.get_by_text("There is no run “no-such-run”").wait_for()
    concept = ranked(site)["concept"][0]
    open_view(page, site.address(f"concepts?{SECOND}&concept={concept}&q=x"), "run-picker")
    page.get_by_test_id("run-picker").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("key => location.hash.startsWith(`#/${key}/`)", arg=site.keys[1])
    assert f"concept={concept}" in page.url and "q=x" not in page.url and "benchmark=" in page.url


VIEWS = {
    "answer": "headline",
    f"coverage?{SECOND}": "region-gaps",
    "slice/0": "sides",
    "concepts?concept=2&kinds=all": "concept-benchmarks",
    "concepts?face=benchmark": GRID,
    "atlas?region=0": "region-sentence",
    "atlas?colour=coverage": "atlas-legend",
    "items?item=1": "item-title",
    "benchmarks": "overlap",
    "trust": "run-card",
}


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci in frontend")
def test_axe_sees_a_button_without_a_name(site, page):
    open_view(page, site.address("trust"), "run-card")
    assert serious(page) == []
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any("button-name" in fault for fault in serious(page))


def test_everybody_can_use_it_in_any_window(site, page):
    wrong = []
    for view, wait_for in {**VIEWS, f"compare?with={site.keys[1]}": "compare-regions"}.items():
        open_view(page, site.address(view), wait_for)
        page.locator(".grid[aria-busy=true]").first.wait_for(state="detached")  # dimmed until its data are there
        page.wait_for_timeout(300)
        wrong += serious(page) + cut_off(page)
    page.set_viewport_size({"width": 380, "height": 760})
    assert not page.get_by_test_id("benchmark-picker").is_visible()
    page.get_by_test_id("fold").click()
    assert page.get_by_test_id("benchmark-picker").is_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_test_id("menu-glossary").click()
    page.get_by_test_id("glossary").get_by_text("effective sample size").first.wait_for()
    wrong += serious(page)
    page.keyboard.press("Escape")
    page.get_by_test_id("glossary").wait_for(state="hidden")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_test_id("colour-scheme").click()
    page.wait_for_function(f"light => {ground} !== light", arg=light)
    page.reload()
    page.wait_for_function(f"light => {ground} !== light", arg=light)
    page.evaluate("localStorage.clear()")
    assert not wrong, "\n".join(wrong)
