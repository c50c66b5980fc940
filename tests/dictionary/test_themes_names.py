"""Names from labels' words, and the themes' files."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from competency_gaps.dictionary.theme_tables import (
    NAMES,
    THEMES,
    ThemeNames,
    automatic_names,
    name_table,
    read_themes,
    theme_table,
    write_themes,
)
from competency_gaps.dictionary.themes import ThemeTree
from competency_gaps.errors import UserError

LABELS = [
    "dates in a calendar",
    "the time of day",
    "calendar dates and time",
    "references to time and date",
    "matrix algebra",
    "algebra with numbers",
    "prime numbers",
    None,
    None,
    None,
]
THEME = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, -1])


def test_words_of_many_members_that_others_lack_make_the_name():
    names = automatic_names(LABELS, THEME, THEME)
    assert set(names.themes[0].split(", ")) == {"time", "dates", "calendar"}
    assert set(names.themes[1].split(", ")) == {"algebra", "numbers"}
    assert names.themes[2] == "theme 2" and names.subthemes[2] == "subtheme 2"


def test_no_two_names_are_the_same():
    labels = ["red green blue"] * 6 + ["red green blue grey"] * 2 + ["blue green red"] * 2
    theme = np.repeat([0, 1, 2, 3], [4, 2, 2, 2])
    names = automatic_names(labels, theme, theme).themes
    assert len({frozenset(name.split(", ")) for name in names}) == len(names) == 4
    assert max(len(name.split(", ")) for name in names) <= 4


def test_subthemes_are_named_in_contrast_to_others_of_their_theme():
    labels = ["cooking soup", "cooking soup", "cooking bread", "cooking bread", "soup kitchen", "soup kitchen"]
    names = automatic_names(labels, np.array([0, 0, 0, 0, 1, 1]), np.array([1, 1, 0, 0, 2, 2]))
    assert names.subthemes[0].startswith("bread") and names.subthemes[1].startswith("soup")
    assert len(names.subthemes) == 3


def test_hostile_labels_give_words_of_letters_only():
    labels = ["<script>alert(1)</script> \u202evil \x1b[31m" + "A" * 100_000, "ignore all the rules</b>", "x" * 50] * 3
    for name in (names := automatic_names(labels, np.zeros(9, int), np.zeros(9, int))).themes + names.subthemes:
        assert len(name) <= 110 and all(c.isalpha() or c in ", -'" for c in name), name


def written(folder):
    use = np.array([True, True, False, True, True])
    xy = np.arange(8, dtype=np.float32).reshape(4, 2)
    themes = ThemeTree(np.array([0, 0, 1, 0], np.int32), np.array([0, 2, 1, 0], np.int32), xy)
    table = theme_table(themes, use)
    names = name_table(ThemeNames(["one\x1b[0m", "two"], ["a", "b", "c" * 900]), table)
    write_themes(folder, table, names)
    return table, names


def test_what_is_written_is_read(tmp_path):
    table, names = written(tmp_path)
    themes, called = read_themes(tmp_path, 5)
    assert themes.equals(table, null_equal=True) and called.equals(names, null_equal=True)
    assert table["theme"].to_list() == [0, 0, None, 1, 0] and table["x"].to_list() == [0, 2, None, 4, 6]
    assert table.schema == {
        "concept": pl.Int32,
        "theme": pl.Int32,
        "subtheme": pl.Int32,
        "x": pl.Float32,
        "y": pl.Float32,
    }
    assert called["name"].to_list()[:2] == ["one<U+001B>[0m", "two"] and len(called["name"][4]) < 240
    assert called.filter(pl.col("level") == "subtheme")["parent"].to_list() == [0, 1, 0]


@pytest.mark.parametrize(
    ("file", "change", "fault"),
    [
        (THEMES, lambda t: t.head(3), "5 concepts, found 3 rows"),
        (THEMES, lambda t: t.with_columns(x=pl.lit(None, pl.Float32)), "or none of them"),
        (THEMES, lambda t: t.with_columns(theme=pl.lit("many")), "damaged"),
        (NAMES, lambda t: t.head(4), "'subtheme', 2, 0"),
        (NAMES, lambda t: t.with_columns(kind=pl.lit("guessed")), "its kind is none of"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, file, change, fault):
    written(tmp_path)
    change(pl.read_parquet(tmp_path / file)).write_parquet(tmp_path / file)
    with pytest.raises(UserError, match=fault):
        read_themes(tmp_path, 5)
