"""Table of concepts, themes, filters, downloads and links: what the page shows equals the run's tables."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import polars as pl
from page_helpers import SECOND, await_rows, cells, close, concept_of, number, open_view, shown_rows

GRID = "concept-grid"
SHOWN = 8


def ranked(site) -> pl.DataFrame:
    return site.concepts.filter(pl.col("ranked"))


def test_all_ranked_concepts_weak_first_and_the_one_that_a_finding_names_before_its_group(site, page):
    open_view(page, site.address("concepts"), GRID)
    assert shown_rows(page, GRID) == ranked(site).height
    weak = ranked(site).filter(pl.col("performance_status") == "weak").sort("gap", "concept")
    finding = site.run.findings.row(0, named=True)
    assert weak.height >= 2 and finding["verdict"] == "weak"
    named = [concept_of(text) for text in cells(page, GRID, "label", weak.height)]
    assert sorted(named) == sorted(weak["concept"].to_list())
    assert named[0] == finding["leader"]
    gaps = [number(text) for text in cells(page, GRID, "gap", weak.height)]
    assert gaps[1:] == sorted(gaps[1:])


def test_cells_equal_the_table(site, page):
    open_view(page, site.address("concepts?sort=-support&cols=gap,chi_model,chi_bench,n_eff,support,q_value"), GRID)
    expected = ranked(site).sort("support", "concept", descending=[True, False]).head(SHOWN)
    assert [concept_of(text) for text in cells(page, GRID, "label", SHOWN)] == expected["concept"].to_list()
    for column, digits in (("gap", 2), ("chi_model", 2), ("n_eff", 1), ("support", 0)):
        for text, value in zip(cells(page, GRID, column, SHOWN), expected[column].to_list(), strict=True):
            assert close(text, value, digits), (column, text, value)


def test_undefined_values_come_last_and_are_not_zero(site, page):
    everything = site.concepts.sort("chi_model", "concept", descending=[True, False], nulls_last=True)
    undefined = everything["chi_model"].null_count()
    assert undefined > 0
    open_view(page, site.address("concepts?kinds=all&sort=-chi_model&cols=chi_model"), GRID)
    assert shown_rows(page, GRID) == everything.height
    page.get_by_test_id(GRID).locator("[col-id=label]").nth(1).click()
    page.keyboard.press("Control+ArrowDown")
    last = page.get_by_test_id(GRID).locator(f'[row-index="{everything.height - 1}"] [col-id="chi_model"]')
    last.wait_for()
    assert last.inner_text().strip() == "N/A"


def test_search_by_label_and_number(site, page):
    open_view(page, site.address("concepts"), GRID)
    names = ranked(site).with_columns(name=pl.coalesce("label", "peak_token", pl.lit("")).str.to_lowercase())
    search = page.get_by_test_id("table-search")
    search.fill("text")
    await_rows(page, GRID, names.filter(pl.col("name").str.contains("text", literal=True)).height)
    search.fill("no concept is called this")
    await_rows(page, GRID, 0)
    assert "No concept passes" in page.get_by_test_id(GRID).inner_text()
    wanted = int(names["concept"][3])
    search.fill(str(wanted))
    hit = names.filter((pl.col("concept") == wanted) | pl.col("name").str.contains(str(wanted), literal=True))
    await_rows(page, GRID, hit.height)
    assert wanted in [concept_of(text) for text in cells(page, GRID, "label", hit.height)]


def test_filters_and_the_link_that_repeats_them(site, page, new_page):
    wanted = ranked(site).filter((pl.col("performance_status") == "typical") & (pl.col("n_eff") >= 40))
    assert 0 < wanted.height < ranked(site).height
    open_view(page, site.address("concepts"), GRID)
    page.get_by_test_id("filter-status").click()
    page.get_by_role("option", name="typical", exact=True).click()
    page.get_by_test_id("more-filters").click()
    page.get_by_test_id("filter-n_eff").fill("40")
    page.keyboard.press("Escape")
    await_rows(page, GRID, wanted.height)
    again = new_page()
    open_view(again, page.url, GRID)
    await_rows(again, GRID, wanted.height)
    again.get_by_test_id("clear-filters").click()
    await_rows(again, GRID, ranked(site).height)


def test_a_theme_filters_the_table(site, page):
    own = site.run.themes.join(ranked(site), on="concept", how="semi").filter(pl.col("theme") == 1)
    open_view(page, site.address("concepts?theme=1"), GRID)
    assert shown_rows(page, GRID) == own.height > 0
    assert page.get_by_test_id("theme-tree").is_visible()


def test_a_benchmarks_own_values(site, page):
    open_view(page, site.address(f"concepts?{SECOND}&sort=-support&cols=support,gap"), GRID)
    name = site.run.manifest["benchmarks"][1]["name"]
    own = site.run.concept_benchmarks.filter(pl.col("benchmark") == name)
    own = own.join(ranked(site).select("concept"), on="concept").sort("support", "concept", descending=[True, False])
    shown = [number(text) for text in cells(page, GRID, "support", SHOWN)]
    assert shown == own["support"].head(SHOWN).to_list()


def test_benchmark_gaps_begin_with_what_is_missing(site, page):
    open_view(page, site.address("concepts?face=benchmark"), GRID)
    missing = ranked(site).filter(pl.col("missing"))
    assert missing.height > 0
    named = [concept_of(text) for text in cells(page, GRID, "label", missing.height)]
    assert sorted(named) == sorted(missing["concept"].to_list())


def test_a_concept_is_opened_and_closed_with_the_mouse_or_a_link(site, page, new_page):
    open_view(page, site.address("concepts?sort=gap"), GRID)
    concept = concept_of(cells(page, GRID, "label", 1)[0])
    page.get_by_test_id(GRID).locator('[row-index="0"] [col-id="label"]').first.click()
    page.get_by_test_id("concept-title").wait_for()
    assert f"concept={concept}" in page.url
    row = site.concepts.row(concept, named=True)
    facts = page.get_by_test_id("concept-numbers").inner_text()
    assert f"{row['support']} items" in facts
    again = new_page()
    open_view(again, page.url, "concept-title")
    assert again.get_by_test_id("concept-numbers").inner_text() == facts
    page.keyboard.press("Escape")
    page.get_by_test_id("panel").wait_for(state="detached")


def test_a_concept_that_follows_another_leads_to_it(site, page):
    told = site.concepts.filter(pl.col("leader").is_not_null() & (pl.col("leader") != pl.col("concept")))
    follower, leader = told["concept"][0], told["leader"][0]
    open_view(page, site.address(f"concepts?q={follower}&kinds=all&cols=followers"), GRID)
    shown = dict(
        zip(
            (concept_of(text) for text in cells(page, GRID, "label", shown_rows(page, GRID))),
            cells(page, GRID, "followers", shown_rows(page, GRID)),
            strict=True,
        )
    )
    assert shown[follower] == f"with {leader}"
    page.get_by_test_id(GRID).get_by_role("button", name=f"with {leader}", exact=True).first.click()
    page.get_by_test_id("concept-title").wait_for()
    assert f"concept={leader}" in page.url
    page.goto(site.address(f"concepts?concept={follower}"))
    assert str(leader) in page.get_by_test_id("concept-leader").inner_text()


def test_by_keyboard_alone(site, page):
    open_view(page, site.address("concepts?sort=gap"), GRID)
    listed = [concept_of(text) for text in cells(page, GRID, "label", 4)]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('[role=gridcell]') !== null"):
            break
    else:
        raise AssertionError("the grid is not reached with Tab")
    first = page.evaluate("Number(document.activeElement.closest('[row-index]').getAttribute('row-index'))")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_test_id("concept-title").wait_for()
    assert f"concept={listed[first + 2]}" in page.url
    inside = "document.activeElement.closest('[data-testid=panel]') !== null"
    page.wait_for_function(inside)
    page.keyboard.press("Tab")
    assert page.evaluate(inside)
    page.keyboard.press("Escape")
    page.get_by_test_id("panel").wait_for(state="detached")
    page.wait_for_function(f"document.activeElement.closest('[row-index=\"{first + 2}\"]') !== null")
    for key, in_grid in (("Tab", False), ("Shift+Tab", True), ("Shift+Tab", False)):
        page.keyboard.press(key)
        assert (
            page.evaluate("document.activeElement.closest('[role=gridcell], [role=columnheader]') !== null") == in_grid
        )
    page.keyboard.press("/")
    page.keyboard.type("text")
    page.wait_for_url(lambda url: "q=text" in url)


def test_themes_by_keyboard(site, page):
    open_view(page, site.address("concepts"), GRID)
    stops = page.get_by_test_id("theme-tree").locator("[role=treeitem][tabindex='0']")
    assert stops.count() == 1
    stops.focus()
    name = "document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(name)
    page.keyboard.press("ArrowDown")
    assert page.evaluate(name) != first
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.get_by_test_id("theme-tree").locator("[role=treeitem][aria-level='2']").first.wait_for()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-level')") == "2"
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(name) == first
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.includes('theme=')")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[data-testid=as-groups]') !== null")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.testid") == "table-search"


def test_a_number_finds_a_concept_that_is_not_ranked(site, page):
    left_out = site.concepts.filter(~pl.col("ranked") & pl.col("alive"))["concept"][0]
    open_view(page, site.address(f"concepts?q={left_out}"), GRID)
    assert concept_of(cells(page, GRID, "label", 1)[0]) == left_out
    assert f"concept {left_out}, found by its number," in page.get_by_test_id("count").inner_text()


def test_only_concepts_of_a_kind(site, page):
    dense = site.concepts.filter(pl.col("kind") == "dense")
    assert dense.height > 0
    open_view(page, site.address("concepts?kinds=dense"), GRID)
    await_rows(page, GRID, site.concepts.filter((pl.col("kind") == "dense").fill_null(False) | pl.col("ranked")).height)
    page.get_by_test_id("more-filters").click()
    page.get_by_test_id("only-left-out").click(force=True)
    await_rows(page, GRID, dense.height)


def downloaded(page, kind: str, folder: Path) -> Path:
    with page.expect_download() as started:
        page.get_by_test_id(f"download-{kind}").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def test_downloads_hold_what_is_shown(site, page, tmp_path):
    wanted = ranked(site).filter(pl.col("performance_status").is_in(["weak", "strong", "typical"]))
    open_view(page, site.address("concepts?status=weak,strong,typical&sort=gap&cols=gap,chi_model,n_eff"), GRID)
    table = pl.read_parquet(downloaded(page, "parquet", tmp_path))
    assert table["gap"].is_sorted()
    assert sorted(table["concept"]) == wanted["concept"].to_list()
    both = table.join(wanted, on="concept", suffix="_there", maintain_order="left")
    assert both["label"].to_list() == both["label_there"].to_list()
    for column in ("gap", "gap_low", "chi_model", "n_eff"):
        wrong = (both[column] - both[f"{column}_there"]).abs() > 1e-6 * both[f"{column}_there"].abs()
        assert not wrong.any(), column
    text = downloaded(page, "csv", tmp_path).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["concept"]) for row in rows] == table["concept"].to_list()
    assert max(abs(float(row["gap"]) - gap) for row, gap in zip(rows, table["gap"], strict=True)) < 1e-6


def test_a_spreadsheet_runs_nothing(site, page, tmp_path):
    open_view(page, site.address("concepts?kinds=all"), GRID)
    text = downloaded(page, "csv", tmp_path).read_text(encoding="utf-8-sig")
    labels = site.concepts["label"].drop_nulls()
    assert labels.str.contains(r"^\s*[=+@-]").any(), "the run has a label that is a formula"
    for row in csv.DictReader(io.StringIO(text)):
        for name, value in row.items():
            plain = re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?|-?Infinity|-?inf", value or "0", re.IGNORECASE)
            # Where semicolons or tabs part cells, what follows one is a cell too.
            for cell in re.split(r"[;\t\n]", value):
                assert plain or not re.match(r"[\s\x00-\x1f]*[=+\-@＝＋－＠]", cell), (name, value)
