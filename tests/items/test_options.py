import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from competency_gaps.items.options import asked, gold_index, stem, with_options, without_options

TEXT = st.text(alphabet="ab A.B\n?", min_size=1, max_size=12)
STEM = TEXT.map(lambda text: "Q" + text.rstrip())


@settings(deadline=None)
@given(STEM, st.lists(TEXT, min_size=2, max_size=6))
def test_removing_options_undoes_appending_them(stem, choices):
    assert without_options(with_options(stem, choices), choices) == stem


@pytest.mark.parametrize("tail", ["A. no\nB. yes", "A. yes\nB. no\nC. maybe", "A) yes\nB) no"])
def test_options_that_differ_from_the_choices_are_refused(tail):
    with pytest.raises(ValueError, match="differ from 'choices'"):
        without_options(f"Is it?\n\n{tail}", ["yes", "no"])


@pytest.mark.parametrize(
    ("answer", "index"), [(2, 2), (2.0, 2), ("B", 1), ("(C)", 2), ("a.", None), ("red", 0), ("RED", 0), (" blue ", 2)]
)
def test_gold_index(answer, index):
    choices = ["red", "green", "blue"]
    if index is None:
        with pytest.raises(ValueError, match=r"0-based index.*letter \(A to C\)"):
            gold_index(answer, choices)
    else:
        assert gold_index(answer, choices) == index


def test_a_letter_that_is_another_options_text_is_ambiguous():
    with pytest.raises(ValueError, match="ambiguous"):
        gold_index("B", ["B", "A"])
    assert gold_index("B", ["A", "B"]) == 1


def test_digits_are_an_index_only_where_there_are_no_types():
    with pytest.raises(ValueError, match="'labels'"):
        gold_index("1", ["x", "y"])
    assert gold_index("1", ["x", "y"], untyped=True) == 1
    with pytest.raises(ValueError, match="ambiguous"):
        gold_index("1", ["1", "0"], untyped=True)


@pytest.mark.parametrize(
    ("prompt", "choices", "whole"),
    [
        ("Which is red?", ("sky", "rose"), "Which is red?\n\nA. sky\nB. rose"),
        ("Which is red: the sky, or a rose?", ("sky", "rose"), "Which is red: the sky, or a rose?"),
        ("What is 12 minus 21?", ("1", "2"), "What is 12 minus 21?\n\nA. 1\nB. 2"),
        ("Is a rose in the sky?", ("sky", "rose"), "Is a rose in the sky?\n\nA. sky\nB. rose"),
        ("Which?", tuple(f"n{i}" for i in range(27)), "\n".join(("Which?", "", *(f"n{i}" for i in range(27))))),
        ("Which is red?", None, "Which is red?"),
    ],
)
def test_an_item_is_read_with_the_options_that_its_text_lacks(prompt, choices, whole):
    assert asked(prompt, choices) == whole
    assert asked(whole, choices) == whole
    if choices and len(choices) <= 26:
        assert stem(whole) == prompt
