"""Lists of concepts in a terminal: what they hold, nothing cut at any width, and one screen by default."""

from __future__ import annotations

import io
import json
import re

import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console
from test_theme_report import with_themes
from typer.testing import CliRunner

from competency_gaps.cli import read
from competency_gaps.cli.app import app
from competency_gaps.errors import UserError
from competency_gaps.findings.answer import answer
from competency_gaps.presentation import columns, facts, rankings
from competency_gaps.presentation.rankings import list_concepts
from competency_gaps.presentation.themes import read_run_themes
from competency_gaps.report import concept_panel, print_summary, screen

WIDTHS = (80, 100, 120, 200)
LONG = "digits of paired numbers in questions about least common multiples and " + "x" * 70


@pytest.fixture(scope="module")
def wordy(run):
    """The run with long labels, words longer than a line, and wide figures."""
    label = pl.when(pl.col("concept") % 3 == 0).then(pl.lit(LONG)).otherwise(pl.col("label"))
    return run.changed(
        concepts=run.concepts.with_columns(label=label, support=pl.lit(1_234_567), n_eff=pl.lit(12_345.6))
    )


@pytest.fixture(scope="module")
def many(wordy):
    """A run with more weak groups than a screen holds, and themes."""
    ranked = pl.col("ranked")
    changed = wordy.changed(
        concepts=wordy.concepts.with_columns(
            performance_status=pl.when(ranked).then(pl.lit("weak")),
            leader=pl.when(ranked).then(pl.col("concept")).cast(pl.Int32),
            **{name: pl.lit(-0.125) for name in ("gap", "gap_low", "gap_high")},
            q_value=pl.when(ranked).then(pl.lit(1e-12)),
        )
    )
    made = with_themes(changed)
    made.findings = pl.concat([wordy.findings] * 8).with_columns(finding=pl.int_range(pl.len(), dtype=pl.Int32))
    return made


def findings_of(text):
    """Numbers of the findings that an overview lists."""
    return [int(number) for number in re.findall(r"^ *(\d+)  (?:weak|strong)  ", text, re.M)]


def printed(show, width, **options):
    console = Console(file=io.StringIO(), width=width)
    show(console, **options)
    return console.file.getvalue()


def listed(listing, width, **options):
    options = {"lines": 24, **options}
    return printed(lambda console: screen.print_listing(listing, console, **options), width)


def table_of(text):
    """Titles, and for each row its number, name and cells, of a printed table."""
    lines = text.splitlines()
    rule = next(place for place, line in enumerate(lines) if line.startswith("─"))
    titles = re.split(r" {2,}", lines[rule - 1].strip())
    rows = []
    for line in lines[rule + 1 :]:
        first = re.match(r" *(\d+)   (\S.*)", line)
        if first:
            name, *cells = re.split(r" {2,}", first.group(2).strip())
            rows.append((int(first.group(1)), name, cells))
        elif line.startswith("   ") and rows:
            number, name, cells = rows[-1]
            rows[-1] = (number, f"{name} {line.strip()}", cells)
        else:
            break
    return titles, rows


def name_of(row):
    """A concept's name with marks and kind, without blanks: where a line is broken does not matter."""
    name = rankings.concept_name(row) if row["label"] or row["peak_token"] is None else f"peak {row['peak_token']}"
    marks = [*facts.marks_of(row), *rankings.badges_of(row)]
    return re.sub(r"[\s␣]", "", name + (f"[{','.join(marks)}]" if marks else ""))


def check_whole(text, frame, known, width):
    """Every header and every value of a printed table is that of the frame; returns the titles."""
    titles, rows = table_of(text)
    by_title = {column.title: column for column in known}
    assert titles[:2] == ["#", "concept"] and set(titles[2:]) <= set(by_title)
    assert [number for number, *_ in rows] == frame["concept"].head(len(rows)).to_list() and rows
    for (_, name, cells), row in zip(rows, frame.iter_rows(named=True), strict=False):
        assert cells == [by_title[title].cell(row) for title in titles[2:]]
        assert re.sub(r"[\s␣]", "", name) == name_of(row)
    assert max(map(cell_len, text.splitlines())) <= width
    return titles


def sortable(run, benchmark):
    return list_concepts(run, benchmark=benchmark, every=True).concepts.columns


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("benchmark", [None, "calendar"])
def test_no_width_cuts_anything_and_the_column_of_the_order_is_there(wordy, width, benchmark):
    for key in sortable(wordy, benchmark):
        for sort in (key, f"-{key}"):
            listing = list_concepts(wordy, benchmark=benchmark, sort=sort, every=True)
            text = listed(listing, width, limit=9)
            titles = check_whole(text, listing.concepts, listing.columns, width)
            shown = columns.column_of(key, listing.concepts.schema[key])
            assert key in ("concept", "label") or shown.title in titles
            assert "verdict" in titles


@pytest.mark.parametrize("width", WIDTHS)
def test_without_an_order_gap_verdict_and_effective_sample_are_there(wordy, width):
    listing = list_concepts(wordy, every=True)
    titles = check_whole(listed(listing, width, limit=200), listing.concepts, listing.columns, width)
    assert titles[2:5] == ["gap", "verdict", "n_eff"]
    assert listing.concepts["concept"].to_list() == list(range(160))
    assert (len(titles) == 2 + len(columns.present(columns.LISTED, listing.concepts))) == (width == 200)


def test_a_value_is_written_as_the_report_writes_it():
    assert columns.column_of("gap", pl.Float64()) is not None and columns.column_of("gap", pl.Float64()) == columns.GAP
    assert not columns.column_of("lift", pl.Float64()).optional
    assert columns.column_of("p_value", pl.Float64()).show(1e-12) == "<1e−9"
    assert columns.column_of("alive", pl.Boolean()).show(True) == "yes"
    assert columns.column_of("leader", pl.Int32()).show(1234) == "1234"
    assert columns.column_of("peak_token", pl.String()).show(" a\x1b") == "␣a<U+001B>"
    assert columns.column_of("explainer", pl.String()).show("e" * 50) == "e" * 40 + "… (+10 characters)"
    for key, dtype in (("alive", pl.Boolean()), ("explainer", pl.String()), ("share", pl.Float64())):
        assert columns.column_of(key, dtype).show(None) == "N/A"


def test_undefined_values_come_last_in_both_directions(run):
    for sort in ("chi_model", "-chi_model"):
        values = list_concepts(run, sort=sort, every=True).concepts["chi_model"].to_list()
        known = [value for value in values if value is not None]
        assert values[: len(known)] == sorted(known, reverse=sort.startswith("-")) and len(known) < len(values)


@pytest.mark.parametrize("benchmark", [None, "calendar"])
def test_a_list_is_sorted_by_a_header_as_printed(run, benchmark):
    keys = sortable(run, benchmark)
    titles = {columns.column_of(key, pl.Float64()).title: key for key in keys}
    assert titles["q"] == "q_value" and titles["χ bench"] == "chi_bench" and titles["verdict"] == "performance_status"
    for title, key in titles.items():
        for name in (title, title.upper()):
            assert columns.key_named(name, keys) == (name if name in keys else key)
        by_title, by_key = (list_concepts(run, benchmark=benchmark, sort=f"-{name}") for name in (title, key))
        assert by_title.concepts.equals(by_key.concepts) and by_title.columns == by_key.columns
    assert columns.key_named("n_benchmarks", ["q_value"]) is None is columns.key_named("benchmarks", ["q_value"])
    with pytest.raises(UserError, match="sort 'w': there is no such column"):
        list_concepts(run, benchmark=benchmark, sort="-w")


def test_words_find_flagged_and_untested_concepts_with_their_verdict(run):
    label = "prime numbers"
    flagged = run.concepts.filter(pl.col("kind") == "token")["concept"][0]
    dead = run.concepts.filter(~pl.col("alive"))["concept"][0]
    named = run.changed(
        concepts=run.concepts.with_columns(
            label=pl.when(pl.col("concept").is_in([flagged, dead])).then(pl.lit(label)).otherwise("label")
        )
    )
    listing = list_concepts(named, words="numbers PRIME")
    assert set(listing.concepts["concept"]) == {flagged, dead}
    assert listing.sentence == "2 labels have the words 'numbers PRIME'."
    text = listed(listing, 80)
    check_whole(text, listing.concepts, listing.columns, 80)
    assert "token" in text and "dead" in text and "untested" in text
    own = list_concepts(named, words="prime", benchmark="calendar", sort="-support").concepts
    assert set(own["concept"]) == {flagged, dead} and own["support"].to_list() == sorted(own["support"], reverse=True)


def test_words_that_no_label_has_are_answered_with_near_ones(run):
    with pytest.raises(
        UserError, match=r"no concept's label has the words 'calender dates'. Near: \d+ '.*calendar dates"
    ):
        list_concepts(run, words="calender dates")
    with pytest.raises(UserError, match=r"has the words 'qqqq'\.$"):
        list_concepts(run, words="qqqq")


def test_hostile_labels_and_words_stay_text(run):
    evil = "prime \x1b[31m[red]x[/red]\u202e"
    listing = list_concepts(run.changed(concepts=run.concepts.with_columns(label=pl.lit(evil))), words="prime [red]x")
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="truecolor")
    screen.print_listing(listing, console, lines=24)
    raw = console.file.getvalue()
    assert "\x1b[31m" not in raw and "\u202e" not in raw and "<U+001B>[31m[red]x[/red]<U+202E>" in raw


@pytest.mark.parametrize("lines", [16, 23, 50])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_screen_is_filled_and_not_exceeded(many, lines, width):
    themes = read_run_themes(many)
    listing = list_concepts(many, every=True)
    for show, total, numbers in (
        (lambda console, **options: screen.print_overview(many, console, **options), many.findings.height, findings_of),
        (lambda console, **options: screen.print_listing(listing, console, **options), 160, lambda t: table_of(t)[1]),
    ):
        text = printed(show, width, lines=lines)
        assert len(text.splitlines()) <= lines and max(map(cell_len, text.splitlines())) <= width
        rows = len(numbers(text))
        last = " ".join(text.splitlines()[-2:])
        assert rows and f"{total - rows} " in last and f"limit {total}" in last
        # One row more has no room, and an explicit number of rows is printed whatever the room.
        assert len(printed(show, width, lines=lines, limit=rows + 1).splitlines()) > lines
        assert len(numbers(printed(show, width, lines=lines, limit=25))) == 25
    shown = (
        lambda console, **options: screen.print_themes(themes, console, **options),
        lambda console, **options: screen.print_theme(themes, 2, many.concepts, console, **options),
    )
    for show in shown:
        text = printed(show, width, lines=lines)
        assert len(text.splitlines()) <= lines and max(map(cell_len, text.splitlines())) <= width


def test_the_overview_opens_with_the_score_and_the_findings_of_the_answer(many):
    text = printed(lambda console: screen.print_overview(many, console, lines=23), 80)
    first, _, *rest = text.splitlines()
    assert first == answer(many).opening.text
    shown, wanted = findings_of(text), [one.finding for one in answer(many).findings]
    assert shown[: len(wanted)] == wanted and len(wanted) == 5
    assert "Scores: calendar" in " ".join(rest)


def test_a_run_without_findings_or_scores_has_an_overview_too(run):
    typical = run.changed(findings=run.findings.clear())
    text = " ".join(printed(lambda console: screen.print_overview(typical, console, lines=23), 80).split())
    least = run.concepts.filter(pl.col("ranked") & pl.col("q_value").is_not_null())["detectable"].min()
    assert "No group of items does reliably worse or better" in text
    assert f"smallest gap that could have been seen is {100 * least:.0f} points of 100" in text
    unscored = run.changed(
        findings=run.findings.clear(),
        items=run.items.with_columns(score=pl.lit(None, pl.Float64)),
        concepts=run.concepts.with_columns(q_value=pl.lit(None, pl.Float64)),
    )
    text = printed(lambda console: screen.print_overview(unscored, console, lines=23), 80)
    assert "says only what the" in text and "Least covered concepts" in text and "weak" not in text
    assert len(text.splitlines()) <= 23


def test_a_failed_gate_is_shown_first(run):
    failed = run.changed(manifest={**run.manifest, "gate": {**run.manifest["gate"], "passed": False, "forced": True}})
    text = printed(lambda console: screen.print_overview(failed, console, lines=23), 80)
    assert "did not pass its gate" in text.splitlines()[0]
    place = [" ".join(text.split()).index(one.text) for one in (*answer(failed).trust, answer(failed).opening)]
    assert place == sorted(place) and place[0] == 0
    whole = " ".join(printed(lambda console: print_summary(failed, console), 200).split())
    assert whole.index("did not pass its gate") < whole.index(answer(failed).opening.text)


def test_an_empty_list_is_no_error(run):
    listing = list_concepts(run.changed(concepts=run.concepts.with_columns(ranked=pl.lit(False))))
    assert listing.concepts.is_empty() and "concept" in listed(listing, 80)
    assert screen.rows_that_fit(lambda count: "x\n" * 99, 5, Console(width=80), 10) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_the_summary_and_a_concept_are_whole_at_every_width(many, width):
    longer = many.changed(
        **{
            name: getattr(many, name).with_columns(benchmark=pl.col("benchmark") + "-" + "y" * 30)
            for name in ("benchmarks", "concept_benchmarks")
        }
    )
    summary = printed(lambda console: print_summary(longer, console, top=3), width)
    concept = int(longer.concepts.filter(pl.col("support") > 0, ~pl.col("missing"), pl.col("alive"))["concept"][0])
    panel = printed(lambda console: console.print(concept_panel(longer, concept, width=width)), width)
    for text in (summary, panel):
        assert max(map(cell_len, text.splitlines())) <= width
        # What is left out is counted.
        flat = re.sub(r"[\s│]+", " ", text)
        assert text.count("…") == len(re.findall(r"\(\+\d+", text)) + flat.count("characters cut]")
    flat = re.sub(r"\s+", " ", summary)
    assert "items excluded unscored score missing of alive" in flat and "# concept χ bench lift support" in flat
    for row in longer.benchmarks.iter_rows(named=True):
        assert f"{row['missing']:,} of {row['alive']:,}" in summary and f"{row['mean_score']:.2f}" in summary
    shown = longer.concept_benchmarks.filter(pl.col("concept") == concept, pl.col("support") > 0)
    for row in shown.iter_rows(named=True):
        assert columns.GAP.cell(row) in panel and columns.PERFORMANCE.cell(row) in panel


def test_themes_on_the_command_line(many, monkeypatch):
    opened = many.changed()
    opened.themes, opened.theme_results, opened.width = many.themes, many.theme_results, 160
    for name in ("open_folder", "open_as"):
        monkeypatch.setattr(read, name, lambda *_, **__: opened)
    monkeypatch.delenv("LINES", raising=False)

    def show(*arguments):
        result = CliRunner().invoke(app, ["show", "RUN", *arguments], env={"COLUMNS": "80"}, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    themes = read_run_themes(many)
    assert "theme of 3" in show("--themes") and len(show("--theme", "2").splitlines()) <= 23
    document = json.loads(show("--themes", "--json"))
    assert [row["id"] for row in document["themes"]] == themes.themes["id"].to_list()
    assert len(json.loads(show("--themes", "--json", "--limit", "2"))["themes"]) == 2
    own = themes.concepts(2, many.concepts)["concept"].to_list()
    document = json.loads(show("--theme", "2", "--json"))
    assert [row["concept"] for row in document["rows"]] == own and document["theme"]["id"] == 2
    assert {row["parent"] for row in document["subthemes"]} == {2}
    rows = json.loads(show("--theme", "2", "--json", "--limit", "4"))["rows"]
    assert [row["concept"] for row in rows] == own[:4]
