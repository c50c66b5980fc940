"""Charts: what is drawn is what the tables say, and the page's SVG is safe, steady and in the page's colours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
import pytest
from test_theme_report import with_themes

from competency_gaps.errors import UserError
from competency_gaps.report import html
from competency_gaps.report.charts import NAME_LENGTH, STRONG, WEAK, Plots, page_svg


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def drawn_rows(axes):
    """Name, gap, interval and colour of each row, from the top."""
    lines = axes.lines[:-1]  # The last one is the line at 0.
    names = [label.get_text() for label in axes.get_yticklabels()]
    return [
        (name, point.get_xdata()[0], tuple(interval.get_xdata()), interval.get_color())
        for name, interval, point in zip(names, lines[::2], lines[1::2], strict=True)
    ]


def test_gaps_are_those_of_the_leading_concepts_weakest_first(run, axes):
    rows = drawn_rows(Plots(run).gaps(axes, top=2))
    leading = run.concepts.filter(pl.col("leader") == pl.col("concept")).sort("gap")
    weak, strong = (leading.filter(pl.col("performance_status") == verdict) for verdict in ("weak", "strong"))
    assert strong.height > 2, "or nothing is left out"
    expected = pl.concat([weak.head(2), strong.tail(2)])
    assert [gap for _, gap, _, _ in rows] == expected["gap"].to_list()
    assert [ends for _, _, ends, _ in rows] == expected.select("gap_low", "gap_high").rows()
    assert [colour for *_, colour in rows] == [WEAK] * weak.head(2).height + [STRONG] * 2


@pytest.mark.parametrize(("top", "expected"), [(None, [3, 0, 2, 5, 1]), (2, [3, 0, 5, 1]), (3, [3, 0, 2, 5, 1])])
def test_themes_are_drawn_weakest_first_and_from_both_ends(run, axes, top, expected):
    rows = drawn_rows(Plots(with_themes(run)).themes(axes, top=top))
    assert [name for name, *_ in rows] == [f"theme of {number}" for number in expected]


def test_a_run_without_themes_has_no_chart_of_them(run, axes):
    with pytest.raises(UserError, match="has no themes"):
        Plots(run).themes(axes)


def test_names_stay_text_in_the_svg(run):
    name = "<b>$x$</b> & \"q\" 'r' \u202e" + "y" * 100
    svg = page_svg(with_themes(run, name), lambda plots: plots.themes(), '<script> & "themes"')
    assert "\u202e" not in svg
    root = ET.fromstring(svg)
    assert root.get("aria-label") == '<script> & "themes"'
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    names = [text for text in texts if text.startswith("<b>$x$</b> & \"q\" 'r' <U+202E>")]
    assert len(names) == 5 and all(len(text) == NAME_LENGTH and text.endswith("…") for text in names)


def test_colours_are_the_pages(run):
    svg = page_svg(run, lambda plots: plots.gaps(), "gaps")
    assert "var(--weak)" in svg and "var(--accent)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'#m[0-9a-f]{10}"', "", svg))
    style = re.search(r"<style[^>]*>(.*?)</style>", svg)[1]
    assert style.startswith(".figure "), "a rule of the chart would hold for all of the page"


SCRIPT = """
import matplotlib

matplotlib.rcParams.update({"axes.facecolor": "black", "font.size": 30.0})
from conftest import synthetic_run
from competency_gaps.report.charts import page_svg

print(page_svg(synthetic_run(), lambda plots: plots.gaps(), "gaps"))
"""


def test_a_chart_is_the_same_in_every_process_and_under_every_setting(make_run):
    folder = Path(__file__).parent
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), "PYTHONUTF8": "1"},
    )
    assert made.stdout.strip() == page_svg(make_run(), lambda plots: plots.gaps(), "gaps").strip()


def test_wide_letters_get_room(run):
    """matplotlib's own font has no Chinese: it takes each letter for narrower than a browser draws it."""
    latin, chinese = (
        page_svg(with_themes(run, name + "{}"), lambda plots: plots.themes(), "themes")
        for name in ("x" * 20, "月" * 20)
    )

    def end_of_names(svg):
        root = ET.fromstring(svg)
        texts = root.iter("{http://www.w3.org/2000/svg}text")
        return min(float(one.get("x")) for one in texts if "end" in one.get("style"))

    # 19 letters of 10 points each, and a digit.
    assert end_of_names(chinese) >= 196 and end_of_names(latin) < end_of_names(chinese)


def test_the_report_leaves_out_what_has_nothing_to_show(run):
    plain = pl.when(pl.col("performance_status").is_in(["weak", "strong"])).then(pl.lit("typical"))
    quiet = run.changed(concepts=run.concepts.with_columns(performance_status=plain.otherwise("performance_status")))
    assert "Net gaps of" not in html.render(quiet, top=1, examples=1)
    assert "Net gaps of leading concepts" in html.render(run, top=1, examples=1)
