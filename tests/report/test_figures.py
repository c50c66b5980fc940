"""Figures from arrays: what is drawn is what was given."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from competency_gaps.report import colours, figures, quadrants, svg

NAN = float("nan")


def texts(markup):
    return [part for part in ET.fromstring(markup).itertext() if part.strip()]


def test_elements_escape_text_and_attributes():
    drawn = svg.tag("text", "<script>&", title='"><script>', class_="a")
    assert "<script>" not in drawn
    assert ET.fromstring(drawn).text == "<script>&"
    assert ET.fromstring(drawn).get("title") == '"><script>'


def test_linear_ticks_are_round_and_inside():
    assert [label for _, label in svg.Scale(0, 1, 0, 100).ticks(5)] == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [label for _, label in svg.Scale(0, 2400, 0, 100).ticks(4)] == ["0", "1,000", "2,000"]


def test_log_ticks_are_powers_of_ten():
    assert [label for _, label in svg.Scale(0.005, 20, 0, 1, log=True).ticks()] == ["0.01", "0.1", "1", "10"]


def test_a_log_scale_places_the_geometric_mean_in_the_middle():
    assert svg.Scale(0.01, 100, 0, 200, log=True).at(1) == pytest.approx(100)


@pytest.mark.parametrize(
    "values",
    [[], [NAN, NAN], [0.0, 0.0], [0.5], [1e-9, 1e9], [0.2, 0.2, 0.2]],
    ids=["empty", "null", "zero", "one", "wide", "equal"],
)
@pytest.mark.parametrize("log", [True, False])
def test_a_histogram_is_drawn_whatever_the_values(values, log):
    drawn = figures.histogram(np.array(values, dtype=float), log=log, x_title="x", y_title="y", mark=(0.5, "median"))
    ET.fromstring(drawn)
    assert "nan" not in re.sub(r">[^<]*<", "><", drawn) and "inf" not in drawn


def test_a_histogram_counts_every_positive_value():
    values = np.array([0.0, NAN, 0.1, 0.2, 5.0])
    assert "3 concepts drawn" in figures.histogram(values, log=True, x_title="x", y_title="y")


def test_bin_shares_add_up_to_one():
    assert figures.bin_shares(np.array([0.1, 0.5, NAN]), np.linspace(0, 1, 5)).sum() == pytest.approx(1)
    assert figures.bin_shares(np.array([NAN]), np.linspace(0, 1, 5)).sum() == 0


def test_bars_name_counts_and_denominators():
    drawn = figures.share_bars(["<b>a", "b"], np.array([5, 0]), np.array([10, 10]), x_title="Missing")
    assert "50%" in texts(drawn) and "  5 of 10" in texts(drawn) and "<b>" not in drawn


def test_the_heat_map_keeps_each_measure_on_its_side():
    upper, lower = np.full((2, 2), 0.25), np.full((2, 2), 0.75)
    drawn = figures.heat_map(["a", "b"], upper, lower, upper_name="Jaccard", lower_name="cosine")
    assert "a and b: Jaccard 0.25" in texts(drawn) and "b and a: cosine 0.75" in texts(drawn)


def test_the_heat_map_says_what_is_not_defined():
    nothing = np.full((2, 2), NAN)
    assert "a and b: J not defined" in texts(
        figures.heat_map(["a", "b"], nothing, nothing, upper_name="J", lower_name="c")
    )


def test_quadrants_count_each_concept_once():
    rng = np.random.default_rng(0)
    coverage, performance = rng.lognormal(size=500), rng.random(500)
    assert sum(quadrants.quadrant_counts(coverage, performance, (1.0, 0.5))) == 500
    assert quadrants.quadrant_counts(np.array([2.0]), np.array([0.1]), (1.0, 0.5)) == [0, 0, 0, 1]


def test_hexagons_hold_every_point_once_and_near_their_centre():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 300, 2000), rng.uniform(0, 200, 2000)
    centres, counts = quadrants.hexagons(x, y, 8.0)
    assert counts.sum() == 2000
    gaps = np.sqrt(((np.stack([x, y], 1)[:, None] - centres[None]) ** 2).sum(-1)).min(1)
    assert gaps.max() <= 8.0 + 1e-6


@pytest.mark.parametrize("size", [0, 1, 50, 900])
def test_the_map_is_drawn_for_any_number_of_concepts(size):
    rng = np.random.default_rng(1)
    coverage, performance = rng.lognormal(size=size), rng.random(size)
    named = [quadrants.Named(i, f"<i>{i}", float(coverage[i]), float(performance[i])) for i in range(min(size, 8))]
    drawn = quadrants.quadrant_map(coverage, performance, split=(1.0, 0.5), x_title="x", y_title="y", named=named)
    ET.fromstring(drawn)
    assert "<i>" not in drawn and "nan" not in drawn


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sequential_scale_changes_lightness_in_one_direction(theme):
    lightness = [colours.luminance(colour) for colour in re.findall(r"--s\d+:(#\w+)", colours.scale_css(theme))]
    assert len(lightness) == colours.STEPS
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ink_reads_on_every_step(theme):
    for colour, ink in re.findall(r"--[sd]\d+:(#\w+);--[sd]\d+i:(#\w+)", colours.scale_css(theme)):
        bright, dark = sorted((colours.luminance(colour), colours.luminance(ink)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_steps_hold_values_outside_the_range_at_its_ends():
    assert [colours.step(value) for value in (-1, 0, 0.5, 1, 2)] == [0, 0, 10, 20, 20]
