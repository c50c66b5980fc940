"""Findings: the overview that opens with them, their items, groups, filters of items, hints and the glossary."""

from __future__ import annotations

import re

import polars as pl
import pytest
from explorer_runs import NAMES, REPEATED
from page_helpers import SECOND, await_rows, cells, concept_of, number, open_view, shown_rows
from test_page_views import part

from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs


def test_the_overview_opens_with_findings_and_what_failed_stands_first(site, page):
    open_view(page, site.address("overview"), "findings")
    told = part(site, "run.json")["answer"]
    lines = page.get_by_test_id("finding-line")
    assert lines.count() == len(told["findings"]) >= 1
    for line, one in zip(lines.all(), told["findings"], strict=True):
        assert one["text"][:60] in line.inner_text()
    order = [page.get_by_test_id(name).first.bounding_box()["y"] for name in ("trust-failed", "question", "findings")]
    order += [page.get_by_test_id(name).bounding_box()["y"] for name in ("scores", "scope", "trust")]
    assert order == sorted(order)
    assert told["trust"][0]["text"] in page.get_by_test_id("trust-failed").first.inner_text()
    # No symbol that nobody explained.
    shown = page.locator("main").inner_text()
    assert not [symbol for symbol in ("χ", "n_eff", "chi_", " q ", "CAS") if symbol in shown]


def test_benchmarks_stand_by_score_and_a_picked_one_changes_every_heading(site, page):
    open_view(page, site.address("overview"), "scores")
    shown = [one.inner_text() for one in page.get_by_test_id("scores").get_by_role("button").all()]
    expected = site.run.benchmarks.sort("mean_score", "benchmark", nulls_last=True)["benchmark"].to_list()
    assert shown == expected
    page.get_by_test_id("scores").get_by_role("button", name="sums").click()
    page.wait_for_function("location.hash.includes('benchmark=sums')")
    for view in ("overview", "findings", "concepts", "map", "items", "correlation", "suggestions", "compare"):
        page.goto(site.address(f"{view}?benchmark=sums"))
        heading = page.locator("h1")
        heading.wait_for()
        assert "sums" in heading.inner_text(), view
    page.goto(site.address("card?benchmark=sums"))
    page.get_by_role("heading", name="of the whole suite").wait_for()


def test_an_address_names_a_benchmark_whatever_it_is_called(site, page):
    open_view(page, site.address("items"), "items-grid")
    page.get_by_test_id("benchmark-picker").click()
    page.get_by_role("option", name=NAMES[1]).click()
    page.wait_for_function("setting => location.hash.includes(setting)", arg=SECOND.replace("%20", "+"))
    wanted = site.run.items.filter(pl.col("benchmark") == NAMES[1]).height
    await_rows(page, "items-grid", wanted)
    page.reload()
    page.get_by_test_id("items-grid").wait_for()
    await_rows(page, "items-grid", wanted)


def test_a_finding_is_told_by_its_items(site, page):
    open_view(page, site.address("overview"), "findings")
    page.get_by_test_id("finding-line").first.get_by_role("link").click()
    page.get_by_test_id("finding-sentence").wait_for()
    assert page.url.split("?")[0].endswith("/finding/0")
    row = site.run.findings.row(0, named=True)
    assert page.get_by_test_id("finding-sentence").inner_text() == row["sentence"]
    sides = page.get_by_test_id("finding-sides")
    page.get_by_test_id("finding-example").nth(5).locator(".prompt").first.wait_for()
    examples = page.get_by_test_id("finding-example").all()
    rows = [*row["failing"], *row["passing"]]
    assert len(examples) == len(rows) == 6
    # Failing ones stand left of passing ones, each beside its own.
    left, right = examples[0].bounding_box(), examples[3].bounding_box()
    assert left["x"] + left["width"] <= right["x"] and abs(left["y"] - right["y"]) < 2
    for example, item in zip(examples, rows, strict=True):
        known = site.run.items.row(item, named=True)
        assert number(example.locator(".example-head").inner_text().split("score")[1]) == known["score"]
        assert (known["answer"] or "none")[:40] in example.inner_text()
        assert "Answer the question." not in example.get_by_test_id("differing").inner_text()
    figures = page.get_by_test_id("finding-figures").inner_text()
    assert f"{row['items']} items" in figures
    assert f"{100 * row['feature_score']:.0f}%" in figures
    assert f"{row['unseen_splits']} of {row['splits']} splits" in page.get_by_test_id("finding-unseen").inner_text()
    assert "cgaps probe" in page.locator("main").inner_text()
    concepts = page.get_by_test_id("finding-concepts").get_by_role("button").all_inner_texts()
    assert [concept_of(text) for text in concepts] == row["concepts"]
    page.get_by_test_id("finding-items").click()
    page.get_by_test_id("items-grid").wait_for()
    own = site.run.items.with_row_index("row").filter(pl.col("row").is_in(row["item_rows"]))
    await_rows(page, "items-grid", own.unique("cluster").height)
    assert sides.count() == 0


def test_the_table_that_a_finding_opens_begins_with_its_leading_concept(site, page):
    for finding in site.run.findings.iter_rows(named=True):
        open_view(page, site.address(f"finding/{finding['finding']}"), "finding-concepts")
        page.get_by_role("link", name="in the table").click()
        page.get_by_test_id("concept-grid").wait_for()
        await_rows(page, "concept-grid", len(finding["concepts"]))
        assert concept_of(cells(page, "concept-grid", "label", 1)[0]) == finding["leader"]


def test_a_finding_that_is_not_there_is_said_to_be_none(site, page):
    open_view(page, site.address("finding/99"), "failed")
    assert re.search(r"numbered from 0 to \d+\.", page.get_by_test_id("failed").inner_text())


def test_groups_have_a_leader_and_their_followers_folded(site, page):
    open_view(page, site.address("concepts"), "as-groups")
    page.get_by_test_id("as-groups").get_by_text("Groups by finding").click()
    page.get_by_test_id("groups").wait_for()
    groups = page.get_by_test_id("group").all()
    table = site.run.findings.to_dicts()
    assert len(groups) == len(table)
    for group, row in zip(groups, table, strict=True):
        shown = [concept_of(text) for text in group.locator(".group-concept .link:visible").all_inner_texts()]
        assert shown == [row["leader"]]
        if len(row["concepts"]) > 1:
            group.locator("summary").click()
            opened = [concept_of(text) for text in group.locator(".group-concept .link:visible").all_inner_texts()]
            assert opened == row["concepts"]


def test_items_are_filtered_by_cluster_group_and_length(site, page):
    items = site.run.items.with_row_index("row")
    open_view(page, site.address("items?benchmark=sums&sort=-repeats"), "items-grid")
    assert cells(page, "items-grid", "repeats", 1) == [f"{len(REPEATED)} items"]
    page.get_by_test_id("items-grid").get_by_role("button", name=f"{len(REPEATED)} items").click()
    await_rows(page, "items-grid", len(REPEATED))
    page.goto(site.address("items?repeats=all"))
    await_rows(page, "items-grid", items.height)
    page.goto(site.address(f"items?{SECOND}&group=even"))
    await_rows(page, "items-grid", items.filter((pl.col("benchmark") == NAMES[1]) & (pl.col("group") == "even")).height)
    open_view(page, site.address(f"items?{SECOND}&sort=n_span_tokens"), "items-length")
    page.get_by_test_id("items-length").click()
    options = page.get_by_role("option").all_inner_texts()
    assert len(options) >= 2
    page.get_by_role("option").last.click()
    page.wait_for_function("location.hash.includes('length=')")
    low, high = options[-1].split("(")[1].split(" tokens")[0].partition(" to ")[::2]
    span = items.filter(pl.col("benchmark") == NAMES[1])["n_span_tokens"]
    within = span.is_between(int(low), int(high or low)).sum()
    await_rows(page, "items-grid", within)
    assert number(cells(page, "items-grid", "n_span_tokens", 1)[0]) == int(low)


def test_an_items_choices_answers_and_repeats_are_shown(site, page):
    row = site.run.items.with_row_index("row").filter(pl.col("choices").is_not_null() & pl.col("score").is_not_null())
    item = row.row(0, named=True)
    open_view(page, site.address(f"items?{SECOND}&item={item['row']}"), "choices")
    lines = page.get_by_test_id("panel").get_by_test_id("choices").locator("li").all_inner_texts()
    assert [line.startswith(choice) for line, choice in zip(lines, item["choices"], strict=True)] == [True, True]
    assert ["right" in line for line in lines] == [i == item["answer_index"] for i in range(len(lines))]
    grid = page.get_by_test_id("items-grid")
    shown = grid.locator(".ag-header-cell").evaluate_all("cells => cells.map((one) => one.getAttribute('col-id'))")
    assert {"response", "answer", "choices"} <= set(shown) and "benchmark" not in shown
    open_view(page, site.address(f"items?item={REPEATED[1]}"), "item-repeats")
    assert f"{len(REPEATED)} items ask the same" in page.get_by_test_id("item-repeats").inner_text()


def test_a_header_explains_itself_at_a_tap_and_covers_no_row(site, browser):
    context = browser.new_context(viewport={"width": 1024, "height": 900}, has_touch=True)
    page = context.new_page()
    open_view(page, site.address("concepts"), "concept-grid")
    cells(page, "concept-grid", "gap", 1)
    header = page.get_by_test_id("concept-grid").locator('.ag-header-cell[col-id="gap"]')
    header.locator(".hint-mark").tap()
    hint = page.get_by_test_id("hint")
    hint.wait_for()
    assert "negative = weaker" in hint.inner_text()
    first = page.get_by_test_id("concept-grid").locator('[row-index="0"]').first.bounding_box()
    place = hint.bounding_box()
    assert place["y"] + place["height"] <= first["y"]
    assert "sort=" not in page.url, "the header was not sorted by"
    hint.get_by_role("button", name="Glossary").tap()
    page.get_by_test_id("glossary").wait_for()
    chosen = page.get_by_test_id("glossary").locator("[data-chosen]")
    assert chosen.get_attribute("data-term") == "gap" and chosen.is_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("glossary").wait_for(state="detached")
    assert page.get_by_test_id("concept-grid").is_visible()
    context.close()


def test_every_column_and_every_word_that_is_marked_is_in_the_glossary(site, page):
    open_view(page, site.address("concepts?glossary=all"), "glossary")
    told = {one.get_attribute("data-term") for one in page.get_by_test_id("glossary").locator("[data-term]").all()}
    info = part(site, "run.json")
    assert {spec["key"] for spec in info["columns"] if spec["key"] != "label"} <= told
    assert {"finding", "stratum", "cluster", "unseen", "score", "alive", "saliency", "cas"} <= told


@pytest.mark.parametrize("face", ["model", "benchmark"])
def test_the_last_column_is_whole_at_1440_pixels(site, page, face):
    open_view(page, site.address(f"concepts?face={face}"), "concept-grid")
    page.wait_for_timeout(400)
    grid = page.get_by_test_id("concept-grid").bounding_box()
    headers = page.get_by_test_id("concept-grid").locator(".ag-header-cell").all()
    ends = [box["x"] + box["width"] for one in headers if (box := one.bounding_box())]
    assert len(ends) >= 7 and max(ends) <= grid["x"] + grid["width"] + 1


def test_names_on_the_map_are_whole_and_do_not_overlap(site, page):
    open_view(page, site.address("map"), "map-canvas")
    page.locator(".theme-names > span").first.wait_for()
    names = page.locator(".theme-names > span").all()
    texts = [" ".join(one.locator("span").all_inner_texts()) for one in names]
    known = [name for name in site.run.theme_results["name"].to_list() if name]
    assert texts and all(
        any(text == " ".join(name.split()) for name in known) for text in texts if "theme " not in text
    )
    boxes = [one.bounding_box() for one in names]
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert apart or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
    assert "Verdict on performance" in page.get_by_test_id("map-legend").inner_text()


def test_an_export_offers_nothing_that_does_not_work_in_it(two_runs, tmp_path, page):
    opened = open_runs([two_runs[0].run], two_runs[0].dictionary)
    export(opened, tmp_path / "page")
    url = f"{(tmp_path / 'page' / 'index.html').as_uri()}#/{opened[0].key}/"
    open_view(page, f"{url}overview", "findings")
    menu = page.get_by_role("navigation", name="Views").inner_text()
    assert "Findings" in menu and "Chat" not in menu and "Compare" not in menu
    for view, says in (("chat", "so it has no chat"), ("compare", "none to compare it with")):
        open_view(page, url + view, "odd-address")
        assert says in page.get_by_test_id("odd-address").inner_text()
        assert page.get_by_test_id("findings").is_visible()


def test_two_exported_runs_can_be_compared(site, page):
    open_view(page, site.address("overview"), "findings")
    menu = page.get_by_role("navigation", name="Views").inner_text()
    assert "Compare" in menu and ("Chat" in menu) == (site.mode == "served")


def test_a_search_for_items_of_a_finding_keeps_its_filter(site, page):
    open_view(page, site.address("items?finding=0&repeats=all"), "items-grid")
    rows = site.run.findings["item_rows"][0].to_list()
    await_rows(page, "items-grid", len(rows))
    assert shown_rows(page, "items-grid") == len(rows)
    page.get_by_role("button", name="Remove: finding 1").click()
    await_rows(page, "items-grid", site.run.items.height)
