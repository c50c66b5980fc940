"""Numbers and foreign text as people read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from competency_gaps.util import text

# The page writes the same: frontend/src/format.test.ts reads these cases too.
CASES = json.loads((Path(__file__).parent / "text_cases.json").read_text("utf-8"))
WRITERS = {
    "magnitude": text.magnitude,
    "tenths": text.tenths,
    "signed": text.signed,
    "decimal": text.decimal,
    "percent": lambda share: text.percent(share, 1.0),
}


@pytest.mark.parametrize(("name", "value", "expected"), [(name, *case) for name in WRITERS for case in CASES[name]])
def test_numbers_are_written_as_the_page_writes_them(name, value, expected):
    assert WRITERS[name](value) == expected


@pytest.mark.parametrize("write", [text.decimal, text.integer, text.tenths, text.signed, text.magnitude])
def test_none_is_never_written_as_zero(write):
    assert write(None) == "N/A"


def test_a_share_carries_its_denominator():
    assert text.share_of(3412, 4096) == "3,412 of 4,096 (83%)"
    assert text.share_of(0, 0) == "0 of 0"
    assert text.percent(1, 0) == "N/A"


def test_characters_that_act_are_written_out_and_others_kept():
    for character in CASES["escaped"]:
        assert text.visible(f"a{character}b") == f"a<U+{ord(character):04X}>b"
    for words in CASES["kept"]:
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
