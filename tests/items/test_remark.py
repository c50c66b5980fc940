"""Remarks: their sentences with and without quotes, and as columns of a table."""

from __future__ import annotations

import json
import math
import re

import polars as pl
import pytest

from competency_gaps.errors import UserError
from competency_gaps.files import write_json
from competency_gaps.items.item import LeftOut
from competency_gaps.items.remark import DTYPE, Remark, sentences
from competency_gaps.items.sentences import SENTENCES


def _filled(code: str) -> Remark:
    """A remark with as many numbers and quotes as its sentence has places."""
    numbers, quotes = (len(set(re.findall(place, SENTENCES[code]))) for place in (r"\{(\d)", r"\{q(\d)"))
    return Remark(code, tuple(range(2, 2 + numbers)), tuple(f"zebra{place}" for place in range(quotes)))


@pytest.mark.parametrize("code", SENTENCES)
def test_every_sentence_reads_well_with_and_without_its_quotes(code):
    remark = _filled(code)
    assert all(quote in str(remark) for quote in remark.quotes)
    bare = str(remark.withheld())
    assert bare and "zebra" not in bare and not set("<>|{}") & set(bare.replace(" > ", " "))
    assert "  " not in bare and " ," not in bare and bare == bare.strip()


@pytest.mark.parametrize(
    ("remark", "sentence", "bare"),
    [
        (Remark("too_long", (1000, 512)), "longer than the context: 1000 > 512 tokens", None),
        (Remark("comparison_timeout", (2.5,)), "the comparison took longer than 2.5 s", None),
        (Remark("one_game", (1,)), "1 game without a usable verdict; the other game counts alone", None),
        (
            Remark("arena_style_rarer", (1, 20)),
            "win rate at equal style not estimated: 1 game of the rarer outcome (win or loss), 20 needed",
            None,
        ),
        (
            Remark("too_few_tasks", (1, 9, 10)),
            "the family has only 1 distinct task at this difficulty: 9 of the 10 asked for could not be made",
            None,
        ),
        (
            Remark("no_verdicts", (2,), ("zebra; fish",)),
            "2 of 2 games without a usable verdict: zebra; fish",
            "2 of 2 games without a usable verdict",
        ),
        (
            Remark("other_filter", quotes=("<b>|{0}",)),
            "answer of the filter '<b>|{0}', which was not chosen",
            "answer of another filter, which was not chosen",
        ),
        (Remark.other("the source gives no score"), "the source gives no score", "not told"),
    ],
)
def test_sentences(remark, sentence, bare):
    assert (str(remark), str(remark.withheld())) == (sentence, bare or sentence)


def test_an_unknown_code_is_refused():
    with pytest.raises(ValueError, match=r"'typo'.*Remark.other"):
        Remark("typo")


def test_words_without_a_code_are_refused_where_a_remark_is_wanted():
    with pytest.raises(UserError, match=r"'the picture is missing'.*Remark\.other"):
        LeftOut("record 3", "the picture is missing")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_is_not_finite_can_be_stored_and_read(tmp_path, number):
    remark = Remark("other_mean", (number, 0.5), ("acc",))
    write_json(tmp_path / "x.json", remark.as_dict())
    column = pl.Series([remark.as_dict(), None], dtype=DTYPE)
    shown = str(Remark.of(json.loads((tmp_path / "x.json").read_text())))
    assert "nan" in shown and sentences(column).to_list() == [shown, None]


def test_a_column_of_remarks(tmp_path):
    remarks = [Remark("too_long", (600, 512)), None, Remark.other('a "b"\u2028<c>'), Remark("too_long", (600, 512))]
    column = pl.Series("unscored", [one and one.as_dict() for one in remarks], dtype=DTYPE)
    column.to_frame().write_parquet(tmp_path / "x.parquet")
    read = pl.read_parquet(tmp_path / "x.parquet")["unscored"]
    assert [one and Remark.of(one) for one in read] == remarks and read.null_count() == 1
    assert sentences(read).to_list() == [one and str(one) for one in remarks]
    assert sentences(read.clear()).dtype == pl.String
