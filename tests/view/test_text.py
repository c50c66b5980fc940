"""Numbers and foreign text as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.util import text


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        *[(0, 10, "0%"), (10, 10, "100%"), (1, 1000, "0.1%"), (999, 1000, "99.9%"), (83, 100, "83%"), (1, 0, "N/A")],
        *[(4, 10_000, "0.04%"), (1, 10**6, "<0.001%"), (9_999, 10_000, ">99.9%"), (99_949, 100_000, "99.9%")],
    ],
)
def test_a_percentage_claims_none_and_all_only_where_true(part, whole, expected):
    assert text.percent(part, whole) == expected


def test_a_share_carries_its_denominator():
    assert text.share_of(3412, 4096) == "3,412 of 4,096 (83%)"
    assert text.share_of(0, 0) == "0 of 0"


@pytest.mark.parametrize("show", [text.decimal, text.integer, text.tenths, text.signed, text.magnitude])
def test_none_is_never_shown_as_zero(show):
    assert show(None) == "N/A"
    assert show(0.0) != "N/A"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.000123, "1.2e−4"), (0.0123, "0.012"), (1.234, "1.23"), (31.5, "31.50"), (1234.5, "1,234")],
)
def test_heavy_tailed_values_keep_three_digits(value, expected):
    assert text.magnitude(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, "0.00"), (-0.004, "0.00"), (0.004, "0.00"), (-0.125, "−0.12"), (0.006, "+0.01")]
)
def test_a_difference_that_rounds_to_zero_has_no_sign(value, expected):
    assert text.signed(value) == expected


# frontend/src/text.test.ts has the same characters: the page and the report take the same.
@pytest.mark.parametrize(
    "one",
    [*"\x1b\x00\x7f\x85\xad\u180e\u200b\u2028\u2029\u202e\u2060\u2066\u2069\ufeff\ufff9\ud800\U000e0041"],
    ids=lambda one: f"U+{ord(one):04X}",
)
def test_a_character_that_acts_is_written_out(one):
    assert text.visible(f"a{one}b") == f"a<U+{ord(one):04X}>b"


@pytest.mark.parametrize(
    "words",
    ["\n", "\t", "\u200e", "\u061c", "\ufe0f", "👩\u200d💻", "می\u200cخواهم", "é", "𝛘"],
    ids=lambda words: "-".join(f"{ord(one):04X}" for one in words),
)
def test_what_scripts_and_emoji_need_stays(words):
    assert text.visible(words) == words


def test_shortening_counts_what_was_cut():
    assert text.shorten("x" * 100_000, 10) == "xxxxxxxxxx… (+99,990 characters)"
    assert text.shorten("short", 10) == "short"


def test_a_long_excerpt_keeps_the_peak():
    long = "a" * 50_000 + "PEAK" + "b" * 49_996
    found = text.excerpt(long, body=(0, len(long)), peak=(50_000, 50_004), limit=400)
    assert found.peak == "PEAK"
    shown = found.before + found.peak + found.after
    assert len(shown) == 400
    assert found.cut_before + len(shown) + found.cut_after == 100_000


def test_an_excerpt_stays_in_the_items_own_text():
    found = text.excerpt("Answer this. Why?\nAnswer:", body=(13, 17), peak=(13, 16), limit=100)
    assert (found.before, found.peak, found.after) == ("", "Why", "?")
    assert (found.cut_before, found.cut_after) == (0, 0)


def test_a_peak_outside_of_the_own_text_widens_the_window():
    found = text.excerpt("System. Why?", body=(8, 12), peak=(0, 6), limit=100)
    assert found.peak == "System" and found.after == ". Why?"


@pytest.mark.parametrize("peak", [(None, None), (5, 5), (-1, 3), (3, 999)])
def test_without_a_usable_peak_the_beginning_is_shown(peak):
    found = text.excerpt("abcdef", body=(None, None), peak=peak, limit=4)
    assert (found.before, found.peak, found.cut_after) == ("abcd", "", 2)


@given(
    st.text(max_size=80),
    st.integers(0, 80),
    st.integers(0, 80),
    st.integers(0, 80),
    st.integers(0, 80),
    st.integers(1, 40),
)
def test_an_excerpt_loses_no_character_uncounted(words, a, b, c, d, limit):
    own, peak = tuple(sorted((a, b))), tuple(sorted((c, d)))
    found = text.excerpt(words, body=own, peak=peak, limit=limit)
    shown = found.before + found.peak + found.after
    assert len(shown) <= limit
    assert shown in words
    assert min(found.cut_before, found.cut_after) >= 0
    inside = own[0] < own[1] <= len(words)
    usable = peak[0] < peak[1] <= len(words)
    whole = (own[1] - own[0]) if inside and (not usable or (own[0] <= peak[0] and peak[1] <= own[1])) else len(words)
    assert found.cut_before + len(shown) + found.cut_after == whole
