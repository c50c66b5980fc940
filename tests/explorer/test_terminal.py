"""What the terminal shows: the answer first, screens that are filled and not exceeded, hostile texts as texts."""

from __future__ import annotations

import json
import re

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.findings.statements import answer, chosen
from competency_gaps.presentation.rankings import list_concepts
from competency_gaps.report import models, screen
from competency_gaps.report.concept import concept_panel


@pytest.fixture
def run(hostile):
    return cg.open_run(hostile.run)


def changed(run, **tables):
    """The run with other tables."""
    for name, table in tables.items():
        object.__setattr__(run, name, table)
    return run


def printed(show, width=100):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        show(console)
    return capture.get()


def many_findings(run, count=40):
    """The run with its weak finding so often."""
    first = run.findings.filter(verdict="weak")
    more = pl.concat([first] * count).with_columns(finding=pl.int_range(count, dtype=pl.Int32))
    return changed(run, findings=more.with_columns(pl.col("finding").cast(run.findings.schema["finding"])))


@pytest.mark.parametrize(("lines", "width"), [(12, 80), (24, 100), (60, 160)])
def test_a_screen_is_filled_and_not_exceeded(run, lines, width):
    many = many_findings(run)
    text = printed(lambda console: screen.print_overview(many, console, lines=lines), width)
    assert len(text.splitlines()) <= max(lines, 12) and max(map(cell_len, text.splitlines())) <= width
    assert re.search(r"more findings?: limit \d+", text)
    listing = list_concepts(run, sort="gap")
    text = printed(lambda console: screen.print_listing(listing, console, lines=lines), width)
    assert len(text.splitlines()) <= lines and max(map(cell_len, text.splitlines())) <= width


def test_the_overview_opens_with_failures_then_score_and_findings(run):
    text = printed(lambda console: screen.print_overview(run, console, lines=100), 300)
    given = answer(run)
    assert given.trust and given.trust[0].code == "gate"
    places = [text.index(part) for part in ("did not pass its gate", "mean score 45%", "with the word “roman”")]
    assert places == sorted(places)
    for benchmark in given.benchmarks:
        if benchmark.mean_score is not None:
            assert f"{benchmark.mean_score:.0%}" in text


def test_findings_come_worst_first_and_few_strong_ones_last(run):
    strong = run.findings.filter(verdict="strong")
    weak = run.findings.filter(verdict="weak")
    table = pl.concat([strong] * 4 + [weak] * 6).with_columns(
        finding=pl.int_range(10).cast(run.findings.schema["finding"]), leader=pl.int_range(10, dtype=pl.Int32)
    )
    verdicts = chosen(table.cast({"leader": run.findings.schema["leader"]}))["verdict"].to_list()
    assert len(verdicts) <= 5 and verdicts == sorted(verdicts, reverse=True) and verdicts.count("strong") <= 2


def test_a_run_without_findings_or_scores_has_an_overview_too(run):
    text = printed(
        lambda console: screen.print_overview(changed(run, findings=run.findings.clear()), console, lines=50)
    )
    assert "mean score" in text
    unscored = changed(
        run,
        items=run.items.with_columns(score=pl.lit(None, pl.Float64)),
        benchmarks=run.benchmarks.with_columns(mean_score=pl.lit(None, pl.Float64), scored=pl.lit(0, pl.Int32)),
    )
    assert printed(lambda console: screen.print_overview(unscored, console, lines=50)).strip()


@pytest.mark.parametrize("order", ["gap", "-gap", "lift", "-support", "chi_bench"])
def test_a_list_is_sorted_with_undefined_values_last(run, order):
    listing = list_concepts(run, sort=order, every=True)
    values = listing.concepts[order.lstrip("-")]
    known = values.drop_nulls()
    assert known.to_list() == sorted(known.to_list(), reverse=order.startswith("-"))
    assert values.tail(values.null_count()).null_count() == values.null_count()


def test_hostile_texts_stay_texts(run, hostile):
    shown = [
        lambda console: screen.print_overview(run, console, lines=50),
        lambda console: screen.print_listing(list_concepts(run, every=True), console, lines=500),
        *(lambda console, i=i: console.print(concept_panel(run, i, width=100)) for i in range(8)),
    ]
    text = "".join(printed(show) for show in shown)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("width", [60, 200])
def test_a_concept_shows_the_tables_numbers_at_every_width(run, width):
    concept = int(run.findings["leader"][0])
    text = printed(lambda console: console.print(concept_panel(run, concept, width=width)), width)
    assert max(map(cell_len, text.splitlines())) <= width
    row = run.concepts.row(concept, named=True)
    assert f"{row['gap']:+.2f}".replace("-", "−") in text or f"{row['gap']:+.2f}" in text
    with pytest.raises(cg.UserError):
        concept_panel(run, 10**6)


def test_themes_and_one_of_them_are_shown(hostile):
    run = cg.open_run(hostile.run)
    for options in (["--list", "themes"], ["--theme", "0"]):
        done = CliRunner().invoke(app, ["show", str(hostile.run), *options])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["show", str(hostile.run), "--list", "themes", "--json"])
    assert len(json.loads(done.stdout)["themes"]) == run.theme_results.filter(level="theme").height
    refused = CliRunner().invoke(app, ["show", str(hostile.run), "--list", "themes", "--sort", "gap"])
    assert refused.exit_code != 0


def test_models_and_a_comparison_of_two_are_shown(modelled, tmp_path):
    run = cg.open_run(modelled.run)
    text = printed(lambda console: console.print(models.models_view(run)), 160)
    means = run.models.drop_nulls("mean").sort("mean", descending=True)
    places = [text.index(name) for name in means["model"].to_list() if name in text]
    assert len(places) >= 5 and places == sorted(places)
    cells = run.model_themes()
    table = printed(lambda console: console.print(models.cells_of_models(cells, against_peers=False)), 200)
    stands_out = cells.filter(pl.col("status") == "weak")
    assert all(f"{100 * gap:+.1f}" in table for gap in stands_out["gap"])
    from competency_gaps.stages.compare import compare_models

    made = compare_models(run, "big", "sharp")
    models.write_markdown(made, tmp_path / "compared.md", limit=5)
    page = (tmp_path / "compared.md").read_text()
    row = made.overall.row(0, named=True)
    assert page.startswith("## big against sharp") and f"{100 * row['difference']:+.1f}" in page
    assert "<img" not in page and "<b>" not in page
