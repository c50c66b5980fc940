"""A run with the scores of several models, in a real browser: whose scores are shown, models by theme, and in pairs."""

from __future__ import annotations

import json

import polars as pl
import pytest
from explorer_extras import ADDED
from explorer_runs import SECRETS
from page_helpers import cells, close, number, open_view, shown_rows
from test_page_access import AXE, faults, go_to, serious

import competency_gaps as cg
from competency_gaps.explorer.export import export
from competency_gaps.explorer.opened import open_runs
from competency_gaps.runs.scores import model_scores
from competency_gaps.text import visible


def test_the_pickers_lead_to_another_model_and_say_which_reads_the_items(models, page):
    open_view(page, models.address("overview"), "findings")
    assert "It also reads the items" in page.get_by_test_id("whose").inner_text()
    assert "(reads the items)" in page.get_by_test_id("model-picker").input_value()
    page.get_by_test_id("model-picker").click()
    page.get_by_role("option", name="big").click()
    page.wait_for_url(f"**/#/{models.keys[2]}/overview*")
    page.get_by_role("heading", name="where is big weak").wait_for()
    whose = page.get_by_test_id("whose").inner_text()
    assert (
        whose.startswith("Scores of big.") and "<b>tiny reads the items" in whose and "not what goes on in big" in whose
    )
    page.get_by_test_id("outcome-picker").click()
    page.get_by_role("option", name="against peers").click()
    page.wait_for_url(f"**/#/{models.keys[1]}/overview*")
    assert page.get_by_test_id("whose").inner_text().startswith("Scores of big less what its peers make")
    page.get_by_test_id("run-picker").click()
    assert page.get_by_role("option").count() == 2, "outcomes are no runs of their own in the list of runs"


def test_a_run_of_one_model_has_neither_pickers_nor_the_view(models, page):
    open_view(page, models.address("overview", 3), "findings")
    assert page.get_by_test_id("model-picker").count() == page.get_by_test_id("whose").count() == 0
    assert page.get_by_test_id("menu-models").count() == 0
    open_view(page, models.address("models", 3), "odd-address")
    assert "cgaps score" in page.get_by_test_id("odd-address").inner_text()


def test_models_by_theme_are_those_of_the_tables_and_cells_lead_on(models, page):
    run = cg.open_run(models.run.path)
    table = run.model_themes(against_peers=True)
    open_view(page, models.address("models?kind=peers"), "models-heat")
    heat = page.get_by_test_id("models-heat")
    assert heat.locator("td button").count() == table.height
    tested = table.drop_nulls("gap").sort("gap")
    assert heat.locator("button.passes").count() == table["status"].is_in(["weak", "strong"]).sum()
    row = next(row for row in tested.iter_rows(named=True) if row["model"] == "big")
    says = f"big, {row['name'] or 'theme ' + str(row['theme'])}: gap"
    cell = heat.locator("td button").and_(page.locator(f"[aria-label^={json.dumps(says)}]"))
    label = cell.get_attribute("aria-label")
    assert close(label.split(": gap ")[1].split(" ")[0], 100 * row["gap"], 1) and label == cell.get_attribute("title")
    cell.click()
    page.wait_for_url(f"**/#/{models.keys[1]}/concepts?*theme={row['theme']}*")
    open_view(page, models.address("models"), "models-heat")
    page.get_by_role("button", name="small, ").first.click()
    said = page.get_by_test_id("models-missing").inner_text()
    assert "tables of small were not made yet" in said and f"cgaps show {run.path} --as small" in said


def test_the_switch_leads_to_groups_of_concepts_and_a_cell_to_the_leading_concept(models, page):
    table = cg.open_run(models.run.path).model_groups(against_peers=True)
    open_view(page, models.address("models?kind=peers"), "models-heat")
    page.get_by_test_id("models-by").get_by_text("Groups of concepts").click()
    page.wait_for_url("**by=groups*")
    heat = page.get_by_role("region", name="Gaps of models by group of concepts")
    heat.wait_for()
    assert heat.locator("td button").count() == table.height
    assert heat.locator("button.passes").count() == table["status"].is_in(["weak", "strong"]).sum()
    row = table.filter(pl.col("model") == "big").row(0, named=True)
    says = f"big, {visible(row['name'] or 'concept ' + str(row['group']))}: gap"
    cell = heat.locator(f"td button[aria-label^={json.dumps(says)}]")
    assert close(cell.get_attribute("aria-label").split(": gap ")[1].split(" ")[0], 100 * row["gap"], 1)
    cell.click()
    page.wait_for_url(f"**/#/{models.keys[1]}/concepts?*concept={row['group']}*")
    page.get_by_test_id("concept-title").wait_for()


def test_an_outcome_shows_its_models_answer_to_an_item_of_the_run(models, page):
    answer = f"big says {SECRETS[1]}"
    for place, times in ((0, 1), (2, 2)):  # among every model's answers, and of the outcome's model as the response
        open_view(page, models.address("items?item=0", place), "item-models")
        # The table beside it shows responses as well, if it is there by now.
        assert page.get_by_test_id("panel").get_by_text(answer).count() == times


def test_arrow_keys_move_between_cells(models, page):
    open_view(page, models.address("models"), "models-heat")
    page.locator('[data-cell="0/0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.cell") == "1/1"


def test_a_profile_and_a_pair_of_models(models, page):
    run = cg.open_run(models.run.path)
    open_view(page, models.address("models?model=dull&a=small&b=big"), "paired-themes")
    gaps = run.model_themes(models=["dull"]).drop_nulls("gap").sort("gap")
    lines = page.get_by_test_id("profile").locator("li")
    assert abs(number(lines.first.locator("> span").nth(1).inner_text()) - 100 * gaps["gap"][0]) < 0.06
    made = run.compare("big", "small")
    row = made.overall.row(0, named=True)
    said = page.get_by_test_id("paired-overall").inner_text()
    assert said.startswith(f"big does better than small: +{100 * row['difference']:.1f} points of 100")
    assert f"better on {row['better']} and worse on {row['worse']} of {row['clusters']} clusters" in said
    assert f"A difference of {100 * row['detectable']:.1f} points" in said
    page.get_by_role("button", name="Exchange A and B").click()
    page.get_by_text("small does worse than big").wait_for()
    turned = page.get_by_test_id("paired-overall").inner_text()
    assert f"better on {row['worse']} and worse on {row['better']} of" in turned
    first = page.get_by_test_id("paired-benchmarks").locator("tbody tr").first
    assert first.locator("th").inner_text() == made.benchmarks["benchmark"][0]
    assert abs(number(first.locator("td").first.inner_text()) + 100 * made.benchmarks["difference"][0]) < 0.06


def test_items_sort_by_how_they_tell_models_apart(models, page):
    known = cg.open_run(models.run.path).item_models()["discrimination"].drop_nulls()
    # The grid draws only the columns that have room.
    page.set_viewport_size({"width": 2400, "height": 900})
    open_view(page, models.address("items?sort=discrimination"), "items-grid")
    shown = [number(text) for text in cells(page, "items-grid", "discrimination", 4)]
    assert shown == sorted(shown) and abs(shown[0] - known.min()) < 0.006


def test_an_item_lists_what_every_model_did(models, page):
    scores = model_scores(models.run)
    open_view(page, models.address("items?item=0"), "item-models")
    rows = page.get_by_test_id("item-models").locator("tbody tr")
    assert rows.count() == len(scores.models) == len(ADDED) + 1
    for place, model in enumerate(scores.models):
        line = rows.nth(place)
        assert close(line.locator("td").first.inner_text(), float(scores.values[place, 0]), 2)
        if place:
            assert f"{model} says {SECRETS[1]}" in line.inner_text()


def test_two_runs_on_the_same_items_are_compared_item_by_item(models, page):
    made = cg.compare(models.other.path, models.run.path)
    open_view(page, models.address(f"compare?with={models.keys[3]}"), "paired-overall")
    said = page.get_by_test_id("paired-overall").inner_text()
    assert said.startswith("B does worse than A") and f"worse on {made.overall['worse'][0]} of" in said
    page.get_by_test_id("compare-table").wait_for()
    page.get_by_role("columnheader", name="B minus A").first.wait_for()
    assert shown_rows(page, "compare-table") > made.concepts.height > 0
    text = page.get_by_test_id("compare-benchmarks").locator("tbody tr").first.inner_text()
    assert f"{made.benchmarks['better'][0]} : {made.benchmarks['worse'][0]}" in text
    open_view(page, models.address(f"compare?with={models.keys[2]}"), "compare-unpaired")
    page.get_by_role("link", name="Models compares these two").click()
    page.get_by_test_id("paired-overall").wait_for()
    open_view(page, models.address(f"compare?with={models.keys[3]}", 1), "compare-unpaired")
    assert "Only scores are compared" in page.get_by_test_id("compare-unpaired").inner_text()


def test_a_redacted_export_has_the_same_view_and_no_response(modelled, tmp_path, page):
    opened = open_runs([modelled.run])
    export(opened, tmp_path / "page", redact=True)
    url = f"{(tmp_path / 'page' / 'index.html').as_uri()}#/{opened[0].key}/"
    open_view(page, f"{url}models?a=small&b=big", "paired-themes")
    assert page.get_by_test_id("models-heat").is_visible()
    open_view(page, f"{url}items?item=0", "item-models")
    text = page.get_by_test_id("item-models").inner_text()
    assert "big" in text and SECRETS[1] not in text and "response" not in text


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: npm ci in frontend/")
def test_everybody_can_use_it_in_any_window(models, new_page):
    page = new_page()
    views = {
        "models?kind=peers&a=small&b=big": "paired-themes",
        "models?by=groups": "models-heat",
        "items?item=0": "item-models",
        f"compare?with={models.keys[3]}": "paired-overall",
    }
    found = serious(page, models, views)
    assert not found, "\n".join(found)
    wrong = []
    for view, test_id in views.items():
        go_to(page, models, view, test_id)
        wrong += faults(page, view)
    assert not wrong, "\n".join(wrong)
