"""Themes and the provenance of labels, on the page and in the terminal."""

from __future__ import annotations

import io
import re

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from competency_gaps.errors import UserError
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.themes import asked_theme, read_run_themes
from competency_gaps.report import concept_panel, html, print_summary
from competency_gaps.report.tables import theme_view, themes_view

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} \u202e [red]x[/red] \x1b[31m"
STATUSES = ["weak", "strong", "typical", "weak", "untested", "typical"]
GAPS = [-0.11, 0.23, -0.02, -0.37, None, 0.04]
"""Of six planted themes."""


def with_themes(run, name="theme of {}"):
    """Put six themes of two subthemes each on a drawn run, and labels of every kind."""
    n = run.concepts.height
    rng = np.random.default_rng(1)
    alive = run.concepts["alive"]
    subtheme = pl.Series("subtheme", np.arange(n) % 12, dtype=pl.Int32)
    places = pl.DataFrame(
        {
            "concept": pl.Series(np.arange(n), dtype=pl.Int32),
            "theme": (subtheme // 2).cast(pl.Int32),
            "subtheme": subtheme,
            "x": rng.normal(size=n).astype(np.float32),
            "y": rng.normal(size=n).astype(np.float32),
        }
    )
    themes = places.with_columns(pl.when(alive).then(pl.col(one)).alias(one) for one in ("theme", "subtheme", "x", "y"))
    rows = [_result("theme", i, None, name) for i in range(6)]
    rows += [_result("subtheme", i, i // 2, name) for i in range(12)]
    kinds = ["explained", "imported", "automatic"]
    # Six weak concepts in three groups, whose leaders lie in three themes.
    tested = run.concepts.filter(pl.col("q_value").is_not_null()).sort("gap")["concept"].head(6).to_list()
    leads = {one: tested[place // 2 * 2] for place, one in enumerate(tested)}
    weak = pl.col("concept").is_in(tested)
    concepts = run.concepts.with_columns(
        performance_status=pl.when(weak).then(pl.lit("weak")).otherwise("performance_status"),
        leader=pl.when(weak).then(pl.col("concept").replace_strict(leads, default=None)).otherwise("leader"),
        label_kind=pl.Series([kinds[i % 3] for i in range(n)]),
        label_score=pl.lit(0.83),
        label_scored_by=pl.lit("detection"),
        explainer=pl.lit(name.format("E")),
        label_state=pl.when(pl.col("label").is_null()).then(pl.lit("none")).otherwise(pl.lit("labelled")),
    )
    manifest = {**run.manifest, "dictionary": {"name": name, "labelled": n, "kinds": {}, "themes": 6}}
    results = pl.DataFrame(rows, infer_schema_length=None)
    return run.changed(concepts=concepts, manifest=manifest, themes=themes, theme_results=results)


def _result(level, i, parent, name):
    gap, status = GAPS[i % 6], STATUSES[i % 6]
    around = {"gap_low": None, "gap_high": None} if gap is None else {"gap_low": gap - 0.05, "gap_high": gap + 0.05}
    return {
        **{"level": level, "id": i, "parent": parent, "name": name.format(i), "kind": "automatic" if i == 3 else "x"},
        **{"concepts": 20 + i, "ranked": 15 + i, "chi_bench": 9.0, "chi_bench_mean": 1.1, "chi_model": None},
        **{"chi_model_low": None, "chi_model_high": None, "support": 60, "n_eff": 31.0, "gap": gap, **around},
        **{"p_value": None, "q_value": None if gap is None else 0.0123, "performance_status": status, "leader": i},
        **{"missing_concepts": 1, "weak_concepts": 4 + i, "strong_concepts": 2, "weak_groups": 3},
    }


@pytest.fixture(scope="module")
def themed(run):
    return with_themes(run)


@pytest.fixture(scope="module")
def rendered(themed):
    return html.render(themed, top=8, examples=1)


def printed(*things, width=140, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    for thing in things:
        console.print(thing)
    return console.file.getvalue()


def test_the_page_lists_themes_weak_ones_first_with_the_numbers_of_the_table(rendered, themed):
    found = re.findall(r'<details class="theme" id="theme-(\d+)"><summary.*?>(.*?)</summary>', rendered, re.S)
    assert [int(number) for number, _ in found] == [3, 0, 1, 2, 5, 4]
    rows = {row["id"]: row for row in themed.theme_results.filter(pl.col("level") == "theme").to_dicts()}
    for number, summary in found:
        row = rows[int(number)]
        cells = re.findall(r"<span[^>]*num[^>]*>([^<]*)</span>", summary)
        counts = [str(row[key]) for key in ("weak_concepts", "strong_concepts", "missing_concepts")]
        assert cells == [str(row["concepts"]), "N/A", columns.THEME_GAP.cell(row), columns.Q_VALUE.cell(row), *counts]
        assert f"theme of {number}" in summary and row["performance_status"] in summary
        assert ("badge auto" in summary) == (row["kind"] == "automatic")
    assert "−0.370 [−0.420, −0.320]" in rendered


def test_a_theme_opens_to_its_subthemes_and_weak_leaders(rendered, themed):
    ranked = rankings.ranking(themed.concepts, themed.manifest["evidence"])
    assert ranked.weak_leaders.height == 3
    for theme in range(6):
        body = re.search(rf'id="theme-{theme}".*?</details>', rendered, re.S)[0]
        for subtheme in range(12):
            assert (f"<bdi>theme of {subtheme}</bdi>" in body.split("<tbody>")[1]) == (subtheme // 2 == theme)
        own = themed.themes.filter(pl.col("theme") == theme)["concept"].to_list()
        expected = [one for one in ranked.weak_leaders["concept"].to_list() if one in own]
        listed = re.search(r'<ol class="leaders">(.*?)</ol>', body, re.S)
        shown = re.findall(r'<span class="id">(\d+)</span>', listed[1]) if listed else []
        assert [int(one) for one in shown] == expected[:12]


def test_ids_are_unique_and_links_lead_somewhere(rendered):
    ids = re.findall(r' id="([^"]+)"', rendered)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', rendered)) <= set(ids)


def test_a_run_without_a_dictionary_shows_no_labels(run):
    page = html.render(run, top=8, examples=1)
    for words in ('id="themes"', "Net gaps of themes", "Labels", "badge auto", "Label:", "Theme:", "nobody checked"):
        assert words not in page
    console = Console(file=io.StringIO(), width=140)
    print_summary(run, console, top=3)
    text = console.file.getvalue() + printed(concept_panel(run, 0))
    assert not re.search(r"Themes|theme|labelled|\bauto\b", text)
    assert read_run_themes(run) is None


def test_hostile_names_and_labels_stay_text(run):
    evil = with_themes(run, EVIL)
    evil = evil.changed(
        theme_results=evil.theme_results.with_columns(name=pl.lit(EVIL + "x" * 5_000)),
        concepts=evil.concepts.with_columns(label=pl.lit(EVIL), explainer=pl.lit(EVIL)),
    )
    page = html.render(evil, top=8, examples=1)
    assert "<img" not in page and page.count("<script>") == 1 and "x" * 200 not in page
    assert "\u202e" not in page and "\x1b" not in page and "&lt;script&gt;" in page
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="truecolor")
    print_summary(evil, console, top=3)
    themes = read_run_themes(evil)
    console.print(themes_view(themes, themes.themes.height))
    console.print(theme_view(themes, asked_theme(themes, 3), evil.concepts, count=2))
    console.print(concept_panel(evil, int(evil.concepts.filter(pl.col("ranked"))["concept"][0])))
    raw = console.file.getvalue()
    assert "\x1b[31m" not in raw and "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", raw) and "[red]x" in raw


def test_labels_say_where_they_come_from_and_bear_their_marks(themed, rendered):
    row = {"label": "dates", "label_kind": "explained", "explainer": "Ann", "label_score": 0.834}
    row["label_scored_by"] = "detection"
    assert facts.provenance(row) == "explained by Ann, detection 0.83" and facts.marks_of(row) == []
    auto = {"label": "may · june", "label_kind": "automatic", "label_score": None}
    assert facts.provenance(auto) == "automatic: words of exemplars" and facts.marks_of(auto) == ["auto"]
    assert facts.marks_of({"label": "alone"}) == [] and facts.provenance({"label": "alone"}) is None
    assert facts.provenance({"label": None, "label_state": "never"}) == "No label: never looked up in a dictionary"
    none = "No label: looked up, and the source has none, abstained, or its label scored below 0.6"
    assert facts.provenance({"label": None, "label_state": "none"}) == none
    marked = 0
    for concept, cells in re.findall(r'<tr data-concept="(\d+)">(.*?)</tr>', rendered, re.S):
        own = themed.concepts.row(int(concept), named=True)
        assert ("badge auto" in cells) == (own["label"] is not None and int(concept) % 3 == 2)
        marked += "badge auto" in cells
    assert marked


def test_a_concepts_detail_names_its_theme_and_its_labels_source(themed, rendered):
    shown = [int(one) for one in re.findall(r'id="concept-(\d+)"', rendered)]
    themes = read_run_themes(themed)
    for concept in shown:
        body = re.search(rf'id="concept-{concept}">(.*?)</details>', rendered, re.S)[1]
        theme, subtheme = concept % 12 // 2, concept % 12
        path = f"theme of {theme} (theme {theme}) › theme of {subtheme} (subtheme {subtheme})"
        assert f"Theme: <bdi>{path}</bdi>" in body and themes.path(concept) == path
        assert "Label: <bdi>" in body
    labelled = themed.concepts.filter(pl.col("label").is_not_null() & pl.col("alive"))["concept"].to_list()
    explained = next(one for one in labelled if one % 3 == 0)
    text = printed(concept_panel(themed, explained))
    assert "explained by theme of E, detection 0.83" in text and f"(subtheme {explained % 12})" in text
    dead = int(themed.concepts.filter(~pl.col("alive"))["concept"][0])
    assert themes.of_concept(dead) == []


def test_the_runs_facts_count_the_labelled_alive_concepts(themed):
    alive = themed.concepts.filter(pl.col("alive") & pl.col("label").is_not_null())
    fact = facts.dictionary_fact(themed)
    assert fact.value.startswith(f"{alive.height} of {themed.concepts['alive'].sum()} ")
    for place, kind in enumerate(("explained", "imported", "automatic")):
        assert f"{sum(c % 3 == place for c in alive['concept'])} {kind}" in fact.note
    assert "6 themes" in fact.note


def test_the_summary_lists_weak_themes_first(themed):
    console = Console(file=io.StringIO(), width=140)
    print_summary(themed, console, top=3)
    text = console.file.getvalue()
    table = text[text.index("\nThemes") : re.search("excluded +unscored", text).start()]
    assert re.findall(r"^ *(\d) +theme of (\d)", table, re.M) == [("3", "3"), ("0", "0"), ("1", "1")]
    flat = " ".join(table.split())
    assert "2 of 5 (40%) themes are weak and 1 strong" in flat and "1 theme of 6 could not be tested" in flat
    assert "auto" in table.split("theme of 3")[1].split("\n")[0]


def test_one_theme_lists_its_subthemes_and_concepts(themed):
    themes = read_run_themes(themed)
    own = themes.concepts(2, themed.concepts)
    assert sorted(own["concept"].to_list()) == [
        c for c in range(160) if c % 12 in (4, 5) and themed.concepts["alive"][c]
    ]
    status = own["performance_status"].to_list()
    assert status == sorted(
        status, key=lambda one: (one != "weak", one != "strong", one not in ("typical", "negligible"))
    )
    console = Console(file=io.StringIO(), width=140)
    console.print(theme_view(themes, asked_theme(themes, 2), own, count=5))
    text = console.file.getvalue()
    assert "theme of 4" in text and "theme of 5" in text and "theme of 3" not in text
    assert f"{own.height - 5} concepts more" in text and f"limit {own.height}" in text
    listed = re.findall(r"^ *(\d+)  ", text[text.index("concept  ") :], re.M)
    assert [int(number) for number in listed] == own["concept"].head(5).to_list()
    with pytest.raises(UserError, match="no theme 77"):
        asked_theme(themes, 77)
