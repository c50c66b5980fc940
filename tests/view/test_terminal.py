"""What the terminal shows: screens that are filled and not exceeded, models, concepts, hostile texts as texts."""

from __future__ import annotations

import json
import re

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

import competency_gaps as cg
from competency_gaps.cli.app import app
from competency_gaps.findings.items import example_texts
from competency_gaps.slices import CONCEPTS
from competency_gaps.view.columns import list_concepts
from competency_gaps.view.page.tools import ask
from competency_gaps.view.terminal import models, tables
from competency_gaps.view.terminal.answer import answer_view
from competency_gaps.view.terminal.tables import concept_view
from competency_gaps.view.words import interval, signed_points


@pytest.fixture
def run(hostile):
    return cg.open_run(hostile.run)


def printed(show, width=100):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        show(console)
    return capture.get()


@pytest.mark.parametrize(("lines", "width"), [(12, 80), (24, 100), (60, 160)])
def test_a_screen_is_filled_and_not_exceeded(run, lines, width):
    text = printed(lambda console: tables.print_listing(list_concepts(run), console, lines=lines), width)
    assert len(text.splitlines()) <= lines and max(map(cell_len, text.splitlines())) <= width


def test_hostile_texts_stay_texts(run):
    shown = [
        lambda console: console.print(answer_view(run.answer(), example_texts(run, run.answer().findings), 100, 10)),
        lambda console: tables.print_listing(list_concepts(run), console, lines=500),
        *(lambda console, i=i: console.print(concept_view(run, i)) for i in range(8)),
    ]
    text = "".join(printed(show) for show in shown)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("width", [60, 200])
def test_a_concept_shows_the_tables_numbers_at_every_width(run, width):
    concept = int(list_concepts(run)[0]["concept"][0])
    text = printed(lambda console: console.print(concept_view(run, concept)), width)
    assert max(map(cell_len, text.splitlines())) <= width
    row = run.concepts.row(concept, named=True)
    assert f"{100 * row['association']:+.1f}".replace("-", "−") in text
    with pytest.raises(cg.UserError):
        concept_view(run, 10**6)


def test_the_gap_beside_a_concept_is_that_of_its_slice(modelled):
    def show(*options):
        done = CliRunner().invoke(app, ["show", str(modelled.run), "big", *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    rows = json.loads(show("--list", "slices", "--json"))["slices"]
    slices = {row["slice"] - CONCEPTS: row for row in rows if row["family"] == "concepts"}
    gaps = {number: row["gap"] for number, row in slices.items()}
    alone = next(number for number in range(100) if number not in slices)
    for number in (min(gaps, key=gaps.get), max(gaps, key=gaps.get), alone):
        own = json.loads(show("--concept", str(number), "--json"))["slice"]
        text = " ".join(show("--concept", str(number)).split())
        assert (own is None) == ("slice's gap" not in text) == (number == alone)
        if own is not None:
            assert own == slices[number]
            assert (
                f"slice's gap {signed_points(own['gap'])} points ({interval(own['low'], own['high'])}) against" in text
            )
            told = ask(cg.open_run(modelled.run).as_model("big", "peers"), "concept", {"number": number})["slice"]
            assert told["gap"] == pytest.approx(own["gap"], rel=1e-5)


def test_models_have_a_line_each_and_then_what_tells_them_apart(modelled):
    run = cg.open_run(modelled.run)
    found, answers = run.model_slices(), run.answers()
    for width in (80, 160):
        text = printed(lambda console, width=width: console.print(models.models_page(answers, found, width)), width)
        assert max(map(cell_len, text.splitlines())) <= width
    places = [text.index(name) for name in run.models.sort("mean", descending=True)["model"] if name in text]
    assert len(places) >= 5 and places == sorted(places)
    listed = printed(lambda console: console.print(models.models_view(run)), 160)
    assert "unscored" in listed and not re.search("[\x00-\x09\x0b-\x1f]", text + listed)


def test_cut_names_drop_what_models_share_and_keep_who_they_are():
    agents = ("claude-opus-4-5-20251101", "claude-sonnet-4-20250514", "o3-2025-04-16", "gemini-2.5-pro")
    names = [f"20251124_mini-v1.1{i}.0_{agent}" for i, agent in enumerate(agents)]
    names += ["20241105_nfactorial", "20241007_nfactorial", "20241002_agent_swe-gpt-7b", "20240918_agent_swe-gpt-72b"]
    assert list(tables.cut_names(names, 17).values()) == [
        *("…claude-opus-4-5…", "…claude-sonnet-4…", "…o3-2025-04-16", "…gemini-2.5-pro"),
        *("20241105_nfactor…", "20241007_nfactor…", "…agent_swe-gpt-7b", "…swe-gpt-72b"),
    ]
    assert len(set(tables.cut_names(names, 12).values())) == len(names)
    assert tables.cut_names(["owner/model", "other/model"], 40) == {
        "owner/model": "owner/model",
        "other/model": "other/model",
    }
