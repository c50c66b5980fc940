"""The list of an answer: its order, what is shown of it, widths, and what stands where nothing was found."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

from competency_gaps.findings.answer import _chance, _nested, _ordered
from competency_gaps.findings.finding import STRATA, Answer, Caveat, Finding
from competency_gaps.view import words
from competency_gaps.view.terminal.answer import BAR, answer_picture, answer_view, caveats_view
from competency_gaps.view.terminal.models import _slice_text

GAPS = (-0.3, -0.2, -0.15, -0.12, -0.1, -0.08, -0.07, 0.4, 0.2, 0.006)
NAMES = (
    "one",
    "what two people say to each other when they meet; greetings; farewells",
    "\x1b[31mred\u202e",
    "x" * 200,
)


def finding(number, gap):
    name = NAMES[number % len(NAMES)]
    return Finding(number, 100 + number, "profiles", name, gap, gap - 0.05, gap + 0.05, 0.97, "solid", 1200, 1234, 0.4,
                   9, 20, gap / 2, gap - 0.1, gap + 0.1, (("length", 0.3),), 5, (5, 6))  # fmt: skip


@pytest.fixture
def answer():
    findings = tuple(finding(number, gap) for number, gap in enumerate(GAPS, 1))
    caveats = (Caveat("unchecked"), Caveat("from a later version", {"value": 3}))
    return Answer("a-model", "peers", ("b", "c"), 0.427, 12032, 11500, findings, ("profiles",), 300, caveats)


def lines(view, width):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [50, 80, 100, 140, 200])
def test_a_finding_is_one_line_and_at_most_five_of_each_side_are_shown(answer, width):
    shown = lines(answer_view(answer, ["an item that fails"] * len(GAPS), width), width)
    assert max(map(cell_len, shown)) <= width and "\x1b" not in "".join(shown)
    numbered = [line for line in shown if line.split() and line.split()[0].isdigit()]
    assert [int(line.split()[0]) for line in numbered] == [1, 2, 3, 4, 5, 8, 9, 10]
    assert [line.split()[1] for line in numbered].count("weaker") == 1 and "stronger" in numbered[5]
    for line, number in zip(numbered, (1, 2, 3, 4, 5, 8, 9, 10), strict=True):
        gap = GAPS[number - 1]
        assert words.signed_points(gap) in line and words.interval(gap - 0.05, gap + 0.05) in line
        assert ("1,200" in line) == (width > 50)
    assert all(("solid" in line) == (width > 50) for line in numbered)
    assert ("an item" in shown[3]) == (width >= 100) and "all 10 lines" in " ".join(shown)
    whole = lines(answer_view(answer, [None] * len(GAPS), width, 10), width)
    assert sum(line.split()[0].isdigit() for line in whole if line.split()) == len(GAPS)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("physics", "physics"),
        ("engineering: pipes, steam, surfaces", "pipes, steam…"),
        ("math: roots, numbers", "math: roots…"),
        ("physics, chemistry and engineering: heat", "physics, chemi…"),
        ("“Find the value: x …”: roots, numbers", "“Find the…"),
        ("reading data tables, charts, surveys", "reading data…"),
    ],
)
def test_a_part_of_a_group_does_not_look_like_the_group(name, shown):
    assert _slice_text(replace(finding(1, -0.1), name=name), 21) == f" −10  {shown}"


def test_sure_lines_come_first_and_each_says_how_far_to_believe_it(answer):
    gaps = {-0.2: 0.3, -0.1: 0.02, 0.05: 0.01, 0.3: 0.4, 0.1: 0.05}
    beliefs = ("a hint", "solid", "solid", "a hint", "likely")
    some = [
        replace(finding(1, gap), low=gap - error, high=gap + error, belief=belief)
        for (gap, error), belief in zip(gaps.items(), beliefs, strict=True)
    ]
    ordered = _ordered(some)
    assert [one.gap for one in ordered] == [-0.1, -0.2, 0.1, 0.05, 0.3] and [one.number for one in ordered] == [
        *range(1, 6)
    ]
    changed = [replace(one, change=one.gap - 0.1) for one in some]
    assert [one.gap for one in _ordered(changed)] == [-0.1, -0.2, 0.1, 0.05, 0.3]
    shown = lines(answer_view(replace(answer, findings=tuple(ordered)), [None] * 5, 80), 80)
    found = [next(word for word in ("solid", "likely", "a hint") if word in line) for line in shown[3:8]]
    assert found == ["solid", "a hint", "likely", "solid", "a hint"]
    kept = (f"“{word}” {words.KEPT_SIDES[word]}" for word in ("solid", "likely", "a hint"))
    assert "?" not in "".join(shown) and ", ".join(kept) in " ".join(" ".join(shown[8:]).split())
    assert words.sentence_of(answer, ordered[1]).endswith("; a hint")


def test_a_line_says_why_to_believe_it_and_keeps_what_half_samples_measured_apart(answer):
    likely = replace(answer.findings[0], belief="likely")
    reason, replicated, *_ = words.background(answer, likely, [])
    assert reason == f"Likely: of 100 such lines {words.KEPT_SIDES['likely']} keep their side on other items."
    assert replicated == (
        "Chosen again by 9 of 20 half-samples (others may list one that overlaps); measured on the items left out: "
        "−15 (−40 to −20)."
    )


@pytest.mark.parametrize("width", [50, 80, 140])
def test_bars_are_as_long_as_gaps_and_on_their_side(answer, width):
    gaps = (-0.2, -0.05, 0.1, 0.4)
    findings = [replace(finding(number, gap), low=gap, high=gap) for number, gap in enumerate(gaps, 1)]
    findings[-1] = replace(findings[-1], low=-0.1)  # surely nothing, however large
    picture = lines(answer_picture(replace(answer, findings=tuple(findings)), None, width), width)
    assert max(map(cell_len, picture)) <= width and "\x1b" not in "".join(picture)
    bars = [line.split("│") for line in picture if "▇" in line]
    assert [left.count("▇") for left, _ in bars] == [BAR, BAR / 4, 0]
    assert [right.count("▇") for _, right in bars] == [0, 0, BAR / 2]
    assert [left.split()[0] for left, _ in bars] == ["−20", "−5", "+10"]


def test_what_puts_the_list_in_doubt_stands_above_it(answer):
    doubted = replace(answer, caveats=(Caveat("gate", {"explained_variance": 0.2, "forced": True}), *answer.caveats))
    shown = lines(answer_view(doubted, [None] * len(GAPS), 100), 100)
    assert "gate" in shown[0] and "42.7%" not in shown[0]
    told = " ".join(lines(caveats_view(doubted), 200))
    assert all(words.caveat_words(caveat) in told for caveat in doubted.caveats) and "value 3" in told


def test_nothing_found_is_said_with_the_slices_tested(answer):
    shown = " ".join(lines(answer_view(replace(answer, findings=()), [], 100), 100))
    assert "42.7%" in shown and "300 slices" in shown
    unscored = lines(answer_view(replace(answer, findings=(), mean=None, scored=0), [], 100), 100)
    assert len(unscored) == 1 and words.UNSCORED in unscored[0]


def test_what_is_held_equal_changes_no_difference_of_two_models(answer):
    one = replace(answer.findings[0], rests_on=((STRATA, 0.5),))
    assert (
        words.rests_on(answer, one)
        == "Holding length and the like equal takes away 50% of its difference from all items."
    )
    other = replace(answer, kind="difference", against=("b",))
    assert words.rests_on(other, one) is None
    assert words.finding_headline(other, one).startswith("a-model, against b, in points")


@pytest.mark.parametrize("kind", ["score", "peers", "difference", "parsed"])
def test_every_kind_of_outcome_has_its_words(answer, kind):
    other = replace(answer, kind=kind, outcome=-0.081, right=kind != "score", against=answer.against[:1])
    if kind == "difference":
        changed = (replace(one, change=one.gap - 0.1, change_low=-0.9, change_high=0.9) for one in answer.findings)
        other = replace(other, findings=tuple(changed))
        assert words.spread_of(other.findings[0]) == "−90 to +90"
    said = words.answer_words(other)
    assert words.points_of(other.findings[0]) == ("−40" if kind == "difference" else "−30")
    assert len(said["findings"]) == len(GAPS) and words.model_sentence(other).startswith("a-model")
    assert ("−8.1" in said["headline"]) == (kind == "difference")
    assert ("mean score" in said["headline"]) == (kind == "score")
    for score, outcome in ((None, None), (1.0, 0.4), (0.0, -0.6)):
        assert words.outcome_words(other, score, outcome)


@pytest.mark.parametrize(("text", "most"), [("some words that go on", 12), ("one; two; three", 9), ("y" * 50, 10)])
def test_a_name_is_cut_after_a_word_or_a_part(text, most):
    cut = words.cut_at_word(text, most)
    assert len(cut) <= most and text.startswith(cut.rstrip("…")) and words.cut_at_word(text, 60) == text


def test_chance_is_one_of_the_options_of_scored_items_and_none_where_some_have_none():
    choices, scores = [["a", "b"], ["a", "b", "c", "d"], ["a", "b"], None], np.array([1.0, 0.0, np.nan, 1.0])
    items = pl.DataFrame({"choices": choices, "answer_index": [0, 1, 1, None]})
    asked = SimpleNamespace(
        items=items, scores=SimpleNamespace(of=lambda _: scores), outcome=SimpleNamespace(kind="score", model="m")
    )
    assert _chance(asked, np.array([True, True, False, False])) == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert _chance(asked, ~np.isnan(scores)) is None
    scores[0] = 0.5
    assert _chance(asked, np.array([True, True, False, False])) is None


def test_a_line_within_another_says_so(answer):
    findings = list(answer.findings)[:3]
    items = np.arange(100)
    held = (items < 20, items < 50, (items >= 14) & (items < 90))
    inside = dict(zip((own.slice for own in findings), held, strict=True))
    nested = _nested(findings, inside)  # of the third's line, the first has 6 items of 20
    assert [own.within for own in nested] == [findings[1].number, None, None]
    shown = replace(answer, findings=tuple(nested))
    named = replace(nested[0], name="fractions"), replace(nested[1], name="math"), nested[2]
    shown = replace(answer, findings=named)
    number = named[1].number
    assert words.line_name(shown, named[0], 40) == "fractions (within math)"
    assert words.line_name(shown, named[0], 12) == f"fractions (within line {number})"
    assert words.line_name(shown, named[1], 40) == "math"
