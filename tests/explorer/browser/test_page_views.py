"""Overview, map, details, items, correlation, comparison, suggestions and chat: what is shown equals the tables."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl

import polars as pl
import pytest
from explorer_runs import HUGE, NAMES, SECRETS
from page_helpers import SECOND, await_rows, cells, close, concept_of, number, open_view, shown_rows
from scipy.stats import spearmanr

from competency_gaps.explorer.export import export, read_part
from competency_gaps.explorer.opened import open_runs


def part(site, name: str) -> dict:
    """A JSON part as the page gets it."""
    if site.mode == "static":
        folder = Path(urllib.request.url2pathname(site.url.removeprefix("file://"))).parent
        return json.loads(read_part(folder, f"{site.keys[0]}/{name}"))
    with urllib.request.urlopen(f"{site.url}data/{site.keys[0]}/{name}") as answer:
        return json.load(answer)


def test_another_run_keeps_what_is_true_of_it(site, page):
    concept = site.concepts.filter("ranked")["concept"][0]
    open_view(page, site.address(f"concepts?q=text&{SECOND}&concept={concept}"), "concept-grid")
    page.get_by_test_id("run-picker").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("key => location.hash.startsWith(`#/${key}/`)", arg=site.keys[1])
    asked = dict(parse_qsl(page.url.split("?", 1)[1]))
    assert asked == {"q": "text", "benchmark": NAMES[1], "concept": str(concept)}


def test_a_concept_in_full(site, page):
    concept = site.concepts.filter(pl.col("performance_status") == "weak")["concept"][0]
    open_view(page, site.address(f"map?concept={concept}"), "concept-benchmarks")
    own = site.run.concept_benchmarks.filter((pl.col("concept") == concept) & (pl.col("support") > 0))
    rows = page.get_by_test_id("concept-benchmarks").locator("tbody tr").all()
    assert len(rows) == own.height
    for line, row in zip(rows, own.iter_rows(named=True), strict=True):
        shown = [cell.inner_text() for cell in line.locator("td").all()]
        assert close(shown[0], row["gap"], 2)
        assert close(shown[2], row["chi_model"], 2)
        assert number(shown[4]) == row["support"]
    worst = site.run.concept_items(concept, order="worst", limit=5)
    examples = page.get_by_test_id("concept-examples").locator("> div").first.get_by_test_id("example")
    assert examples.count() == worst.height
    first = examples.first
    first.locator(".prompt").wait_for()
    assert number(first.locator("strong").inner_text()) == worst["score"][0]
    assert first.locator("mark.token").count() > 0
    first.get_by_role("button", name="Open item").click()
    page.get_by_test_id("item-title").wait_for()
    page.get_by_role("button", name=f"Back to concept {concept}").click()
    page.get_by_test_id("concept-title").wait_for()


def test_items_failures_first_filters_and_search(site, page):
    items = site.run.items.with_row_index("row")
    open_view(page, site.address("items"), "items-grid")
    once = items.unique("cluster", keep="first").height
    assert shown_rows(page, "items-grid") == once < items.height
    assert set(cells(page, "items-grid", "score", 8)) == {"0.00"}
    page.get_by_test_id("items-outcome").click()
    page.get_by_role("option", name="Unscored").click()
    unscored = items.filter(pl.col("score").is_null() & pl.col("excluded").is_null())
    await_rows(page, "items-grid", unscored.height)
    assert set(cells(page, "items-grid", "score", 4)) == {"N/A"}
    page.get_by_test_id("items-clear").click()
    await_rows(page, "items-grid", once)
    page.get_by_test_id("items-search").fill("PRICES")
    texts = [pl.col(name).fill_null("").str.to_lowercase() for name in ("text", "response", "answer", "item_id")]
    hit = items.filter(pl.any_horizontal([text.str.contains("prices", literal=True) for text in texts]))
    assert 0 < hit.height < items.height
    await_rows(page, "items-grid", hit.height)


COLOURED = """() => [...document.querySelectorAll('[data-testid=item-text] mark[style*=background]')]
  .map((mark) => mark.innerText.trim()).filter((token) => token)"""
"""Tokens of the opened item that are coloured, without those blanks before its own text that are shown apart."""


def test_every_concept_of_an_item_colours_its_own_tokens(site, page):
    first = 1
    column = site.run.by_concept.column(first)
    row = min(column.item.tolist(), key=lambda row: len(site.run.items["text"][row]))
    open_view(page, site.address(f"items?item={row}&concept={first}"), "item-concepts")
    names = page.get_by_test_id("item-concepts").locator("button[aria-pressed]").all_inner_texts()
    words = {concept: _words(site.run, concept, row) for concept in map(concept_of, names)}
    second = next(concept for concept in words if words[concept] != words[first])
    listed = page.get_by_test_id("item-concepts").get_by_role("button", pressed=True)
    other = page.get_by_test_id("item-concepts").get_by_role("button", name=re.compile(rf"^{second}\b"))
    coloured = f"words => JSON.stringify(({COLOURED})()) === JSON.stringify(words)"
    page.wait_for_function(coloured, arg=words[first])
    assert concept_of(listed.inner_text()) == first
    other.hover()
    page.wait_for_function(coloured, arg=words[second])
    assert page.get_by_test_id("item-strongest").inner_text().startswith(f"Concept {second} is strongest on “")
    page.get_by_test_id("item-title").hover()
    page.wait_for_function(coloured, arg=words[first])
    # By key: what has the focus colours, what is chosen stays.
    other.focus()
    page.wait_for_function(coloured, arg=words[second])
    page.keyboard.press("Enter")
    assert other.get_attribute("aria-pressed") == "true" and listed.count() == 1
    page.get_by_role("button", name="Copy link").focus()
    page.wait_for_function(coloured, arg=words[second])
    other.press("Space")
    assert listed.count() == 0
    page.wait_for_function(coloured, arg=[])


def _words(run, concept: int, row: int) -> list[str]:
    """The tokens of an item on which a concept is active, without the blanks around them."""
    (tokens,) = run.token_activations(concept, [row])
    return [run.items["text"][row][start:end].strip() for start, end in zip(tokens.start, tokens.end, strict=True)]


HOLD = """() => {
  const [append, fetched] = [document.head.append.bind(document.head), window.fetch];
  const held = [];
  document.head.append = (part) => part.src.includes('/item/') ? held.push(part) : append(part);
  window.fetch = (path, init) => new Promise((done, failed) => {
    init?.signal?.addEventListener('abort', () => failed(new DOMException('', 'AbortError')));
    if (!path.includes('/search?')) fetched(path, init).then(done, failed);
  });
  window.release = () => { delete document.head.append; window.fetch = fetched; held.forEach((part) => append(part)); };
}"""
"""Searches wait from now on, of the server and of an export's parts, until they are released."""


def test_a_search_that_goes_on_claims_no_count_and_can_be_stopped(site, page):
    items = site.run.items.height
    before = f"{site.run.items['cluster'].n_unique():,} of {items:,} items"
    open_view(page, site.address("items"), "items-grid")
    search, count = page.get_by_test_id("items-search"), page.get_by_test_id("items-count")
    if site.mode == "served":
        # An export reads a part once: what is searched for next need not wait for it.
        search.fill("prices")
        count.get_by_text("contain “prices”").wait_for()
        before = count.inner_text().split(".")[0]
    page.evaluate(HOLD)
    search.fill("zzqqnothing")
    page.wait_for_timeout(500)
    assert count.inner_text().startswith(f"{before}; searching for “zzqqnothing”…")
    page.get_by_role("button", name="Stop").click()
    assert count.inner_text().startswith(f"{before}; the search for “zzqqnothing” was stopped")
    page.evaluate("release()")
    page.get_by_role("button", name="Search again").click()
    count.get_by_text("contain “zzqqnothing”").wait_for()
    assert count.inner_text().startswith(f"0 of {items:,} items contain")
    await_rows(page, "items-grid", 0)


def test_a_huge_prompt_is_shown_in_steps(site, page):
    row = site.run.items.with_row_index("row").sort(pl.col("text").str.len_chars(), descending=True)["row"][0]
    open_view(page, site.address(f"items?item={row}"), "item-text")
    shown = page.get_by_test_id("item-text").inner_text()
    assert 1000 < len(shown) < 20_000 < HUGE
    assert "characters after" in shown
    page.get_by_test_id("panel").get_by_role("button", name="Show more").first.click()
    page.wait_for_function(
        "length => document.querySelector('[data-testid=item-text]').innerText.length > length", arg=len(shown)
    )


def test_hostile_texts_are_only_text(site, page):
    for view in (
        "overview",
        "concepts?kinds=all",
        "items?item=0",
        "items?item=1",
        "correlation",
        "suggestions",
        "card",
        "findings",
        "finding/0",
        "concepts?groups=1",
        "overview?glossary=gap",
    ):
        page.goto(site.address(view))
        page.locator("h1").wait_for()
        page.wait_for_timeout(300)
        assert page.locator("#app img, #app iframe, #app object, #app script").count() == 0, view
    open_view(page, site.address("items"), "benchmark-picker")
    page.get_by_test_id("benchmark-picker").click()
    assert page.get_by_role("option", name=NAMES[1]).is_visible()
    rows = [i for i, text in enumerate(site.run.items["text"]) if "\u202e" in text]
    open_view(page, site.address(f"items?item={rows[0]}"), "item-text")
    assert "U+202E" in page.get_by_test_id("item-text").inner_text()
    assert "\u202e" not in page.locator("body").inner_text()


def test_the_lasso_takes_what_lies_inside(site, page):
    open_view(page, site.address("map?kinds=all"), "map-canvas")
    page.wait_for_function("document.querySelector('[data-testid=map-canvas]').dataset.points > 0")
    box = page.get_by_test_id("map-canvas").bounding_box()
    page.get_by_test_id("map-lasso").click()
    # All around the canvas: each point of the map lies inside.
    corners = [(4, 4), (box["width"] - 4, 4), (box["width"] - 4, box["height"] - 4), (4, box["height"] - 4), (4, 6)]
    page.mouse.move(box["x"] + corners[0][0], box["y"] + corners[0][1])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=8)
    page.mouse.up()
    placed = site.run.themes.filter(pl.col("x").is_not_null())
    page.get_by_test_id("map-unchoose").wait_for()
    assert int(page.get_by_test_id("map-list").get_attribute("data-rows")) == placed.height
    page.get_by_test_id("map-to-table").click()
    page.get_by_test_id("concept-grid").wait_for()
    await_rows(page, "concept-grid", placed.height)
    page.reload()
    page.get_by_test_id("concept-grid").wait_for()
    await_rows(page, "concept-grid", placed.height)


def test_correlation_equals_scipy(site, page):
    open_view(
        page, site.address(f"correlation?x=sums&y={SECOND.partition('=')[2]}&measure=chi_model"), "correlation-sentence"
    )
    names = [entry["name"] for entry in site.run.manifest["benchmarks"]]
    ranked = site.concepts.filter("ranked").select("concept")
    a, b = (
        site.run.concept_benchmarks.filter(pl.col("benchmark") == name).join(ranked, on="concept") for name in names[:2]
    )
    floor = site.run.manifest["evidence"]["min_n_eff"]
    both = a.join(b, on="concept", suffix="_b").filter(
        pl.col("chi_model").is_not_null() & pl.col("chi_model_b").is_not_null()
    )
    enough = both.filter((pl.col("n_eff") >= floor) & (pl.col("n_eff_b") >= floor))
    assert both.height > enough.height > 10
    shown = number(page.get_by_test_id("correlation-spearman").inner_text())
    expected = float(spearmanr(enough["chi_model"], enough["chi_model_b"])[0])
    assert abs(shown - expected) < 0.006
    assert page.get_by_test_id("correlation-heat").is_visible()
    overlap = site.run.overlap.filter((pl.col("benchmark_a") == names[0]) & (pl.col("benchmark_b") == names[1]))
    cell = page.get_by_test_id("correlation-heat").locator("tbody tr").nth(0).locator("td").nth(1).inner_text()
    assert close(cell, overlap["jaccard"][0], 2)


def test_two_runs_side_by_side(site, page):
    open_view(page, site.address(f"compare?with={site.keys[1]}"), "compare-table")
    a, b = site.run.concepts, site.other.concepts
    either = a["ranked"] | b["ranked"]
    assert shown_rows(page, "compare-table") == int(either.sum())
    changed = int((either & (a["performance_status"] != b["performance_status"])).sum())
    assert 0 < changed < either.sum()
    page.get_by_test_id("compare-changed").click(force=True)
    await_rows(page, "compare-table", changed)


def test_two_runs_are_compared_where_both_could_test(site, page):
    open_view(page, site.address(f"compare?with={site.keys[1]}"), "compare-table")
    tested = [
        run.concepts["ranked"] & run.concepts["performance_status"].is_in(["weak", "typical", "strong"])
        for run in (site.run, site.other)
    ]
    both = tested[0] & tested[1]
    other = site.run.concepts["performance_status"] != site.other.concepts["performance_status"]
    said = page.get_by_test_id("compare-sentence").inner_text()
    assert said.startswith(f"{int((both & other).sum()):,} of {int(both.sum()):,} concepts tested in both runs")
    ranked = site.run.concepts["ranked"] | site.other.concepts["ranked"]
    second_only = int((ranked & tested[1] & ~tested[0]).sum())
    assert second_only > 0
    assert f"{second_only:,} tested in B only" in page.get_by_test_id("compare-untested").inner_text()
    assert page.get_by_test_id("compare-settings").is_visible()


def test_suggestions_have_reasons_and_commands(site, page):
    open_view(page, site.address("suggestions"), "suggestion")
    wanted = part(site, "run.json")["suggestions"]
    # Seven are open, in the order in which they are given; the others are folded away.
    assert page.get_by_test_id("suggestion").count() == len(wanted) > 3
    visible = [one for one in page.get_by_test_id("suggestion").all() if one.is_visible()]
    assert len(visible) == min(7, len(wanted))
    assert [one.get_attribute("data-kind") for one in visible] == [one["kind"] for one in wanted[:7]]
    text = page.locator("main").inner_text()
    for one in wanted[:7]:
        assert one["command"] is None or one["command"].split()[0] == "cgaps"
        assert one["title"][:40] in text


def test_the_card_says_what_the_run_was_made_of(site, page):
    page.goto(site.address("card"))
    page.get_by_role("heading", name="Run card", exact=True).wait_for()
    text = page.locator("main").inner_text()
    model = site.run.manifest["model"]["name"]
    # An exported folder is mailed: where things lie at home is nobody's business.
    name = model if site.mode == "served" else model.rsplit("/", 1)[-1]
    for fact in (site.run.manifest["span"], site.run.manifest["hook"]["path"], name):
        assert str(fact) in text
    assert ("/home/" in text) == (site.mode == "served")
    assert "Not tested" in text


def test_without_a_kept_item_nothing_is_said_of_concepts(site, page):
    open_view(page, site.address("card"), "run-card")
    rows = {row["benchmark"]: row for row in site.run.benchmarks.iter_rows(named=True)}
    lines = page.get_by_role("region", name="Benchmarks").locator("tbody tr").all()
    shown = [[cell.inner_text() for cell in line.locator("td").all()] for line in lines]
    expected = [rows[entry["name"]] for entry in site.run.manifest["benchmarks"]]
    assert any(row["kept"] == 0 for row in expected)
    for cells_, row in zip(shown, expected, strict=True):
        counts = ["N/A", "N/A"] if row["kept"] == 0 else [f"{row['covered']:,}", f"{row['missing']:,}"]
        assert cells_[4:6] == counts, row["benchmark"]


def test_missing_shares_of_themes_are_of_ranked_concepts(site, page):
    open_view(page, site.address("overview?face=benchmark"), "findings")
    ranked = site.run.concepts.filter("ranked").join(site.run.themes, on="concept")
    counts = ranked.group_by("theme").agg(missing=pl.col("missing").sum(), ranked=pl.len())
    lines = page.locator(".theme-bars li")
    lines.first.wait_for()
    found = {tuple(map(int, re.findall(r"(\d+) of (\d+) ranked", line.inner_text())[0])) for line in lines.all()}
    assert len(lines.all()) == counts.height
    assert found == set(counts.select("missing", "ranked").iter_rows())


def test_a_search_says_what_it_cannot_see(site, page):
    open_view(page, site.address("items"), "items-grid")
    cut = part(site, "run.json")["cut_items"]
    assert (cut > 0) == (site.mode == "static")
    assert page.get_by_test_id("items-cut").count() == (1 if cut else 0)


def test_bad_addresses_say_so(site, page):
    page.goto(site.address("concepts?concept=99999999"))
    page.get_by_test_id("panel").get_by_text("There is no such concept").wait_for()
    page.goto(site.address("items?item=99999999"))
    page.get_by_text("There is no item 99999999").wait_for()
    page.goto(f"{site.url}#/no-such-run/concepts?theme=zzz&sort=nothing&status=%E0%A4%A&benchmark=77&cols=x")
    page.get_by_text("There is no run").wait_for()
    page.get_by_test_id("concept-grid").wait_for()
    page.goto(site.address("oops?benchmark=77"))
    said = page.get_by_test_id("odd-address")
    said.get_by_text("There is no view “oops”").wait_for()
    assert "no benchmark “77”" in said.inner_text()
    page.goto(site.address("items?outcome=fail&item=1e9"))
    said.get_by_text("outcome cannot be “fail”").wait_for()
    page.get_by_test_id("panel").get_by_text("There is no item 1e9").wait_for()


ODD = {
    "concepts?sort=WORD": ("concept-grid", "There is no column “WORD”"),
    "concepts?each=WORD&cols=WORD": ("concept-grid", "each cannot be “WORD”"),
    "concepts?theme=WORD&status=WORD&coverage=WORD&kinds=WORD": ("concept-grid", "status cannot be “WORD”"),
    "map?colour=WORD&layout=WORD&theme=WORD&status=WORD": ("map-canvas", "colour cannot be “WORD”"),
    "items?sort=WORD&outcome=WORD": ("items-grid", "There is no column “WORD”"),
    "items?group=WORD": ("items-grid", None),
    "correlation?matrix=WORD&measure=WORD&x=WORD": ("correlation-heat", "matrix cannot be “WORD”"),
    "compare?sort=-WORD&with=WORD&from=WORD": ("compare-table", "There is no column “-WORD”"),
    "overview?face=WORD&benchmark=WORD": ("findings", "face cannot be “WORD”"),
}


@pytest.mark.parametrize("word", ["__proto__", "toString"])
def test_names_that_every_object_has_are_told_as_odd(site, page, word):
    wrong = []
    for view, (test_id, sentence) in ODD.items():
        page.goto(site.address(view.replace("WORD", word)))
        page.locator(f"[data-testid={test_id}], [data-testid=failed]").first.wait_for()
        page.wait_for_timeout(200)
        said = page.locator("main").inner_text()
        if page.get_by_test_id("failed").count() or (sentence and sentence.replace("WORD", word) not in said):
            wrong.append(f"{view}: {said[:300]}")
    assert not wrong, "\n".join(wrong)


def test_redacted_export_shows_no_prompt(two_runs, tmp_path, page):
    opened = open_runs([two_runs[0].run], two_runs[0].dictionary)
    export(opened, tmp_path / "page", redact=True)
    url = f"{(tmp_path / 'page' / 'index.html').as_uri()}#/{opened[0].key}/"
    for view, test_id in (("items?item=3", "item-title"), ("concepts?kinds=all&concept=2", "concept-title")):
        open_view(page, url + view, test_id)
        page.wait_for_timeout(500)
        text = page.locator("body").inner_text()
        assert "left out" in text
        assert not [word for word in SECRETS if word in text]
    open_view(page, f"{url}items", "items-search")
    assert page.get_by_test_id("items-search").is_disabled()
